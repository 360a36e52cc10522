"""The header of one DICOM file: the few tags that matter, as raw bytes, parsed here and only when asked for."""

from __future__ import annotations

import math
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import config, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag

from maesil_monai.data.volumes.admission_checks import DEFAULT_RULES, DICOM_SUFFIXES, AdmissionRules, check_file
from maesil_monai.data.volumes.bad_volume import BadVolume

# Nothing that tells who the patient is, except the ID, which never leaves `Series.patient_id`.
TAGS = {
    keyword: Tag(keyword)
    for keyword in (
        *("ImageType", "SOPClassUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"),
        *("ImagePositionPatient", "ImageOrientationPatient", "Rows", "Columns", "PixelSpacing", "NumberOfFrames"),
        *("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
        *("PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept", "RescaleSlope", "LossyImageCompression"),
    )
}
DICOM_DIRECTORY = "1.2.840.10008.1.3.10"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_HEAD_BYTES = 1024
_UID = re.compile(r"[0-9.]{1,64}")
# All that pydicom has been seen to raise on damaged files.
_PARSE_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    struct.error,
    zlib.error,
)


class Header:
    """What a DICOM file says before its pixels.

    Args:
        path: the file.
        values: raw bytes of the tags in ``TAGS`` that are there, by name.
        transfer_syntax: its UID; empty where the file has no meta information.
        little_endian: byte order of ``values``.
        pixel_offset: where the element of the pixels begins in the file, in bytes; its end where there are no pixels.
    """

    def __init__(
        self, path: Path, values: dict[str, bytes], transfer_syntax: str, little_endian: bool, pixel_offset: int
    ) -> None:
        self.path = path
        self.transfer_syntax = transfer_syntax
        self.little_endian = little_endian
        self.pixel_offset = pixel_offset
        self._values = values

    def text(self, name: str) -> str:
        """Gives a text tag without its padding, empty if it is not there."""
        return self._values.get(name, b"").decode("latin-1").strip(" \0")

    def uid(self, name: str) -> str:
        """Gives a UID, empty if it is not there or is none, so that no other text gets into a message."""
        text = self.text(name)
        return text if _UID.fullmatch(text) else ""

    def decimals(self, name: str, count: int, default: float | None = None) -> tuple[float, ...]:
        """Gives the numbers of a DS or IS tag.

        Args:
            name: the tag.
            count: how many numbers it must hold.
            default: what to give if the tag is absent or empty and ``count`` is 1; None: it must be there.

        Raises:
            BadVolume: BAD_TAG, if it is absent, holds another count, or something that is no finite number.
        """
        text = self.text(name)
        if not text:
            if default is not None:
                return (default,)
            raise self.bad_tag(name, "absent or empty", f"{count} finite numbers")
        try:
            numbers = tuple(float(part) for part in text.split("\\"))
        except ValueError as error:
            raise self.bad_tag(name, "no number", f"{count} finite numbers") from error
        if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
            raise self.bad_tag(name, f"{len(numbers)} numbers, or one not finite", f"{count} finite numbers")
        return numbers

    def whole(self, name: str, default: int | None = None, signed: bool = False) -> int:
        """Gives the number of a US or SS tag.

        Raises:
            BadVolume: BAD_TAG, if it is absent and has no default, or is not of 2 bytes.
        """
        raw = self._values.get(name, b"")
        if not raw and default is not None:
            return default
        if len(raw) != 2:
            raise self.bad_tag(name, f"{len(raw)} bytes", "a whole number of 2 bytes")
        return int.from_bytes(raw, "little" if self.little_endian else "big", signed=signed)

    def has(self, name: str) -> bool:
        """Tells whether a tag is there with a value."""
        return bool(self._values.get(name))

    def bad_tag(self, name: str, found: str, expected: str) -> BadVolume:
        """Gives the error of a tag; ``found`` must not quote its text, which may name a person."""
        return BadVolume("BAD_TAG", self.path, f"{name} is {found}", expected, "Export the series again from the archive.")


def read_header(path: str | os.PathLike[str], rules: AdmissionRules = DEFAULT_RULES) -> Header | None:
    """Reads the header of a file; of a file of another type no more than its first bytes.

    Args:
        path: any file.
        rules: where links may lead.

    Returns:
        None for a file that is no DICOM and does not claim to be by its name, and for a DICOMDIR.

    Raises:
        BadVolume: the codes of :func:`check_file` (EMPTY_FILE only where the name claims DICOM); NOT_DICOM for another content
            under a DICOM name; DAMAGED_HEADER; COMPRESSED_NO_DECODER for a file that is deflated as a whole.
    """
    file = Path(path)
    claims = file.suffix.lower() in DICOM_SUFFIXES
    try:
        check_file(file, rules)
    except BadVolume as error:
        if error.code in ("EMPTY_FILE", "NOT_A_FILE") and not claims:
            return None
        raise
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        has_magic = head[128:132] == b"DICM"
        # Old archives leave the preamble out: such a file begins with its first tag, of group 2 or 8.
        if not has_magic and not (len(head) > 8 and head[:2] in (b"\x02\0", b"\x08\0") and head[3] == 0):
            if claims:
                raise BadVolume("NOT_DICOM", file, "another content", "a DICOM file", "Copy the file again, or leave it out.")
            return None
        if has_magic and _DEFLATED in head:
            raise BadVolume(
                "COMPRESSED_NO_DECODER", file, "a file deflated as a whole", "plain tags", "Export it in another transfer syntax."
            )
        stream.seek(0)
        header = _parse(file, stream, force=not has_magic)
    if header is not None or not (has_magic or claims):
        return header if header is None or header.uid("SOPClassUID") != DICOM_DIRECTORY else None
    raise BadVolume(
        "DAMAGED_HEADER", file, "a header that breaks off or makes no sense", "a DICOM header", "Copy the file again."
    )


def _parse(path: Path, stream: Any, force: bool) -> Header | None:
    """Reads the tags up to the pixels; None if they make no sense."""
    try:
        with _quiet():
            dataset = dcmread(stream, stop_before_pixels=True, specific_tags=list(TAGS.values()), force=force)
            meta = dataset.file_meta
            syntax = _raw(meta, 0x00020010).decode("latin-1").strip(" \0")
            if syntax and not _UID.fullmatch(syntax):
                return None
            values = {name: value for name, tag in TAGS.items() if (value := _raw(dataset, tag))}
            values.setdefault("SOPClassUID", _raw(meta, 0x00020002))
    except _PARSE_ERRORS:
        return None
    little = dataset.original_encoding[1] is not False
    header = Header(path, values, syntax, little, stream.tell())
    is_directory = header.uid("SOPClassUID") == DICOM_DIRECTORY
    return header if is_directory or header.has("Modality") or header.has("SeriesInstanceUID") else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps pydicom from warning: what is odd in other tags is no concern of ours, and a warning may quote a tag."""
    was_disabled = config.logger.disabled
    config.logger.disabled = True
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.logger.disabled = was_disabled


def _raw(dataset: Any, tag: int) -> bytes:
    element = dataset.get_item(tag) if tag in dataset else None
    if element is None or not element.value:
        return b""
    if isinstance(element, RawDataElement):
        return bytes(element.value)
    # pydicom converts a few elements as it reads them; all of those are text.
    return str(element.value).encode("latin-1", "replace")
