"""The pixels of one DICOM slice in HU: what is refused before a decoder sees them, and what the decoder is checked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.uid import UID

from maesil_monai.data.dicom.header import Header
from maesil_monai.data.dicom.series import CT_CLASS
from maesil_monai.data.volumes.bad_volume import BadVolume

# What GDCM decodes: plain syntaxes (the last one is GE's), JPEG, JPEG-LS, JPEG 2000, RLE.
_PLAIN = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.113619.5.2")
_COMPRESSED = tuple(f"1.2.840.10008.1.2.{end}" for end in ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "5"))
_LOSSY = tuple(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 81))
_PIXEL_TAG = 0x7FE00010
_ITEM, _ITEMS_END, _UNDEFINED = 0xFFFEE000, 0xFFFEE0DD, 0xFFFFFFFF
# Lower than air: what a scanner writes outside its circle. A padding value above would be a tissue's as well.
PADDING_BELOW_HU, OUTSIDE_HU = -1000.0, -1024.0


@dataclass(frozen=True)
class SlicePixels:
    """A slice in HU.

    Args:
        hu: shape (rows, columns), int16.
        num_padded: voxels that PixelPaddingValue marked and that were set to -1024 HU.
        num_rounded: voxels that were no whole number of HU.
    """

    hu: np.ndarray
    num_padded: int
    num_rounded: int


def check_format(header: Header) -> tuple[int, int]:
    """Checks that a file holds one grey CT slice, whole, in a form that is decoded rightly.

    Returns:
        Rows and columns.

    Raises:
        BadVolume: ENHANCED_MULTIFRAME, NO_PIXELS, COLOUR, INVERTED_GREY, BAD_PACKING, COMPRESSED_NO_DECODER, TRUNCATED, BAD_TAG.
    """

    def refuse(code: str, found: str, expected: str, cure: str) -> BadVolume:
        return BadVolume(code, header.path, found, expected, cure)

    num_frames = header.decimals("NumberOfFrames", 1, default=1.0)[0]
    if num_frames != 1 or header.uid("SOPClassUID").startswith(f"{CT_CLASS}."):
        found, cure = f"{num_frames:g} frames in one file", "Convert it to NIfTI or single slices."
        raise refuse("ENHANCED_MULTIFRAME", found, "one slice in each", cure)
    rows, columns = header.whole("Rows", 0), header.whole("Columns", 0)
    if rows < 1 or columns < 1:
        raise refuse("NO_PIXELS", f"{rows} rows and {columns} columns", "an image", "Leave this file out.")
    grey = header.text("PhotometricInterpretation").upper()
    if header.whole("SamplesPerPixel", 1) != 1 or grey not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise refuse("COLOUR", "a colour image", "one grey value per pixel", "Export the CT itself, not a picture of it.")
    if grey == "MONOCHROME1":
        # The decoder would turn the values round.
        raise refuse("INVERTED_GREY", "MONOCHROME1", "MONOCHROME2", "Export the series without inversion.")
    allocated, stored = header.whole("BitsAllocated", 16), header.whole("BitsStored", 16)
    if allocated not in (8, 16) or not 1 <= stored <= allocated or header.whole("HighBit", stored - 1) != stored - 1:
        raise refuse(
            "BAD_PACKING", f"{stored} bits, not the lowest of {allocated}", "8 or 16 bits, the lowest in use", "Export it again."
        )
    if header.transfer_syntax not in (*_PLAIN, *_COMPRESSED):
        name = UID(header.transfer_syntax).name
        raise refuse("COMPRESSED_NO_DECODER", name, "a syntax that GDCM decodes", "Export it uncompressed, or decompress it.")
    missing = _missing_bytes(header, rows * columns * (allocated // 8))
    if missing:
        raise refuse("TRUNCATED", missing, "the whole image", "Copy the file again.")
    slope, inter = rescale(header)
    if slope == 0.0 or abs(slope) > 1e6 or abs(inter) > 1e6:
        raise header.bad_tag("RescaleSlope or RescaleIntercept", "0 or absurd", "a scale to HU")
    return rows, columns


def rescale(header: Header) -> tuple[float, float]:
    """Gives RescaleSlope and RescaleIntercept, 1 and 0 where they are absent.

    Raises:
        BadVolume: BAD_TAG.
    """
    return header.decimals("RescaleSlope", 1, default=1.0)[0], header.decimals("RescaleIntercept", 1, default=0.0)[0]


def is_lossy(header: Header) -> bool:
    """Tells whether the pixels once went through a compression that changes them."""
    return header.text("LossyImageCompression") == "01" or header.transfer_syntax in _LOSSY


def read_pixels(itk: Any, header: Header, shape: tuple[int, int]) -> SlicePixels:
    """Decodes a slice with GDCM and brings it to HU with its own rescale.

    Args:
        itk: the module, which takes seconds to import.
        header: one that passed :func:`check_format`.
        shape: rows and columns.

    Raises:
        BadVolume: UNREADABLE_VOXELS, VALUE_RANGE, BAD_TAG.
    """
    volume = itk.Image[itk.D, 3]
    decoder = itk.GDCMImageIO.New()
    reader = itk.ImageFileReader[volume].New(FileName=str(header.path), ImageIO=decoder)
    try:
        reader.Update()
    except RuntimeError as error:
        raise _unreadable(header, "pixels that cannot be decoded") from error
    values = itk.array_from_image(reader.GetOutput())
    if values.shape != (1, *shape) or decoder.GetNumberOfComponents() != 1:
        raise _unreadable(header, f"decoded pixels of shape {values.shape} where the header says {shape}")
    slope, inter = rescale(header)
    if not np.allclose((decoder.GetRescaleSlope(), decoder.GetRescaleIntercept()), (slope, inter), rtol=1e-9, atol=1e-9):
        raise header.bad_tag("RescaleSlope or RescaleIntercept", "another one to the decoder", "one rescale")
    hu = values[0]
    num_padded = _fill_padding(header, hu, slope, inter)
    whole = np.rint(hu)
    num_rounded = int(np.count_nonzero(np.abs(whole - hu) > 1e-6))
    low, high = float(whole.min()), float(whole.max())
    limits = np.iinfo(np.int16)
    if not limits.min <= low <= high <= limits.max:
        raise BadVolume(
            "VALUE_RANGE", header.path, f"values {low:g} to {high:g} HU", "HU within 16 bits", "Repair the rescale tags."
        )
    return SlicePixels(whole.astype(np.int16), num_padded, num_rounded)


def _fill_padding(header: Header, hu: np.ndarray, slope: float, inter: float) -> int:
    """Sets voxels marked as padding to the HU of what lies outside, in place; gives how many changed."""
    if not header.has("PixelPaddingValue"):
        return 0
    signed = header.whole("PixelRepresentation", 0) == 1
    marks = [header.whole("PixelPaddingValue", signed=signed)]
    if header.has("PixelPaddingRangeLimit"):
        marks.append(header.whole("PixelPaddingRangeLimit", signed=signed))
    low, high = sorted((slope * min(marks) + inter, slope * max(marks) + inter))
    if high >= PADDING_BELOW_HU:
        return 0
    padded = (hu > low - 0.5 * abs(slope)) & (hu < high + 0.5 * abs(slope)) & (np.rint(hu) != OUTSIDE_HU)
    hu[padded] = OUTSIDE_HU
    return int(np.count_nonzero(padded))


def _missing_bytes(header: Header, num_bytes: int) -> str:
    """Says what is missing of the pixels' element, with an empty text if nothing is; no pixel is read."""
    file_bytes = header.path.stat().st_size
    order = "<" if header.little_endian else ">"
    with header.path.open("rb") as file:

        def dword(offset: int) -> int:
            file.seek(offset)
            return int(np.frombuffer(file.read(4).ljust(4, b"\0"), f"{order}u4")[0])

        def tag(offset: int) -> int:
            file.seek(offset)
            group, element = np.frombuffer(file.read(4).ljust(4, b"\0"), f"{order}u2")
            return int(group) << 16 | int(element)

        if tag(header.pixel_offset) != _PIXEL_TAG:
            return "no pixels"
        file.seek(header.pixel_offset + 4)
        # An odd length cannot be, so these letters are no length of an implicit syntax.
        start = header.pixel_offset + (12 if file.read(2) in (b"OB", b"OW", b"UN") else 8)
        length = dword(start - 4)
        if length != _UNDEFINED:
            there = min(length, file_bytes - start)
            return f"{there} of {num_bytes} bytes of pixels" if there < num_bytes else ""
        place = start
        while tag(place) == _ITEM and place < file_bytes:
            place += 8 + dword(place + 4)
        return "" if tag(place) == _ITEMS_END else "compressed pixels that break off"


def _unreadable(header: Header, found: str) -> BadVolume:
    return BadVolume("UNREADABLE_VOXELS", header.path, found, "those that the header describes", "Copy the file again.")
