"""Bad and odd NIfTI files, a small function or line for each; row numbers are those of the list of cases they come from."""

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass

import nibabel as nib
import numpy as np

AFFINE = np.diag([0.8, 0.8, 2.5, 1.0])


@dataclass(frozen=True)
class Case:
    """``code`` for what must be refused, ``notes`` for what must be accepted with just these notes and the voxels of ``hu()``,
    ``mirrored`` along the first axis or not."""

    row: int
    what: str
    name: str
    make: Callable
    code: str = ""
    notes: tuple[str, ...] = ()
    mirrored: bool = False

    def __str__(self):
        return f"{self.row}-{self.what.replace(' ', '_')}"


def hu(shape=(6, 7, 8)):
    return np.random.default_rng(0).integers(-1000, 1500, shape).astype(np.int16)


def save(path, array, affine=AFFINE, **fields):
    nib.save(nib.Nifti1Image(array, affine), path)
    if fields:
        patch(path, **fields)
    return path


def patch(path, **fields):
    """Writes header fields of an uncompressed file behind nibabel's back; a dict sets single entries of a field."""
    data = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(data[:348]), check=False)
    for name, value in fields.items():
        for index, entry in value.items() if isinstance(value, dict) else [(Ellipsis, value)]:
            header[name][index] = entry
    data[:348] = header.binaryblock
    path.write_bytes(data)


def plain(shape=(6, 7, 8)):
    """The bytes of a good ``.nii``."""
    return nib.Nifti1Image(hu(shape), AFFINE).to_bytes()


def fields(**values):
    return lambda path: save(path, hu(), **values)


def values(change):
    return lambda path: save(path, change(hu().astype(np.float32)))


def content(data):
    return lambda path: path.write_bytes(data)


def voxel(value):
    def put(array):
        array[3, 3, 3] = value
        return array

    return put


def flipped(data, place, bit=16):
    data = bytearray(data)
    data[place] ^= bit
    return bytes(data)


def colour(path):
    nib.save(nib.Nifti1Image(np.zeros((6, 7, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]), AFFINE), path)


def gzip_bomb(path):
    """300 MiB of air in 300 kB."""
    header = nib.Nifti1Header()
    header.set_data_shape((512, 512, 600))
    header.set_data_dtype(np.int16)
    header.set_sform(AFFINE, 1)
    header["pixdim"][1:4] = 0.8, 0.8, 2.5
    header["vox_offset"], header["magic"] = 352, b"n+1"
    block = (-1024).to_bytes(2, "little", signed=True) * 512 * 512 * 100
    with gzip.open(path, "wb", 1) as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(6):
            file.write(block)


def sheared(degrees):
    affine = AFFINE.copy()
    affine[1, 2] = 2.5 * np.tan(np.radians(degrees))
    return affine


def rotated(degrees):
    turn, angle = np.eye(4), np.radians(degrees)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ AFFINE


def two_forms(qform):
    def make(path):
        image = nib.Nifti1Image(hu(), AFFINE)
        image.set_sform(AFFINE, 1)
        image.set_qform(qform, 1)
        nib.save(image, path)

    return make


def moved(mm):
    affine = AFFINE.copy()
    affine[0, 3] = mm
    return affine


GZ = gzip.compress(plain(), mtime=0)
HTML = b"<!DOCTYPE html>" + b"<p>404</p>" * 100

CASES = [
    Case(1, "gzip cut in half", "s.nii.gz", content(GZ[: len(GZ) // 2]), "TRUNCATED"),
    Case(1, "gzip of a cut volume", "s.nii.gz", content(gzip.compress(plain()[:-100])), "TRUNCATED"),
    Case(2, "trailer cut off", "s.nii.gz", content(GZ[:-8]), "TRUNCATED"),
    Case(2, "trailer cut by a byte", "s.nii.gz", content(GZ[:-1]), "TRUNCATED"),
    Case(3, "bit flip in gzip", "s.nii.gz", content(flipped(GZ, len(GZ) // 2)), "GZIP_DAMAGED"),
    Case(3, "wrong checksum", "s.nii.gz", content(flipped(GZ, -6)), "GZIP_DAMAGED"),
    Case(3, "wrong length in trailer", "s.nii.gz", content(flipped(GZ, -2)), "GZIP_DAMAGED"),
    Case(3, "rubbish behind the stream", "s.nii.gz", content(GZ + b"rubbish"), "GZIP_DAMAGED"),
    Case(
        3,
        "damaged second member",
        "s.nii.gz",
        content(gzip.compress(plain()[:401]) + gzip.compress(plain()[401:])[:-8]),
        "TRUNCATED",
    ),
    Case(4, "plain file cut", "s.nii", content(plain()[:-100]), "TRUNCATED"),
    Case(4, "plain file longer than its header says", "s.nii", content(plain() + b"\0"), "TRAILING_DATA"),
    Case(5, "empty file", "s.nii.gz", content(b""), "EMPTY_FILE"),
    Case(5, "empty gzip", "s.nii.gz", content(gzip.compress(b"")), "NOT_NIFTI"),
    Case(6, "web page", "s.nii.gz", content(HTML), "NOT_NIFTI"),
    Case(6, "compressed web page", "s.nii.gz", content(gzip.compress(HTML)), "NOT_NIFTI"),
    Case(6, "web page named nii", "s.nii", content(HTML), "NOT_NIFTI"),
    Case(7, "plain named gz", "s.nii.gz", content(plain()), notes=("NAME_AND_CONTENT",)),
    Case(7, "gzip named nii", "s.nii", content(GZ), notes=("NAME_AND_CONTENT",)),
    Case(8, "missing", "s.nii.gz", lambda path: None, "MISSING"),
    Case(8, "name longer than a name can be", "s" * 300 + ".nii", lambda path: None, "MISSING"),
    Case(9, "folder", "s.nii.gz", lambda path: path.mkdir(), "NOT_A_FILE"),
    Case(11, "link to itself", "s.nii.gz", lambda path: path.symlink_to(path), "SYMLINK_LOOP"),
    Case(13, "pipe", "s.nii", os.mkfifo, "NOT_A_FILE"),
    Case(14, "one NaN", "s.nii", values(voxel(np.nan)), "NON_FINITE"),
    Case(15, "minus infinity", "s.nii", values(voxel(-np.inf)), "NON_FINITE"),
    Case(15, "infinity", "s.nii", values(voxel(np.inf)), "NON_FINITE"),
    Case(16, "all NaN", "s.nii", values(lambda array: array * np.nan), "NON_FINITE"),
    Case(17, "two time points", "s.nii", lambda path: save(path, hu((6, 7, 8, 2))), "NOT_3D"),
    Case(18, "one time point", "s.nii", lambda path: save(path, hu()[..., None]), notes=("SQUEEZED",)),
    Case(19, "vectors", "s.nii", lambda path: save(path, hu((6, 7, 8, 1, 3))), "NOT_3D"),
    Case(20, "2-D", "s.nii", lambda path: save(path, hu((6, 7))), "NOT_3D"),
    Case(21, "1-D", "s.nii", lambda path: save(path, hu((6,))), "NOT_3D"),
    Case(22, "one slice", "s.nii", lambda path: save(path, hu((6, 7, 1))), "TOO_FEW_SLICES"),
    Case(22, "three slices", "s.nii", lambda path: save(path, hu((6, 7, 3))), "TOO_FEW_SLICES"),
    Case(23, "no dimensions", "s.nii", fields(dim={0: 0}), "BAD_DIMENSIONS"),
    Case(23, "nine dimensions", "s.nii", fields(dim={0: 9}), "BAD_DIMENSIONS"),
    Case(23, "zero size", "s.nii", fields(dim={2: 0}), "BAD_DIMENSIONS"),
    Case(23, "negative size", "s.nii", fields(dim={2: -7}), "BAD_DIMENSIONS"),
    Case(24, "colour", "s.nii", colour, "COLOUR"),
    Case(25, "complex", "s.nii", lambda path: save(path, hu().astype(np.complex64)), "COMPLEX"),
    Case(26, "unknown datatype", "s.nii", fields(datatype=77), "BAD_DATATYPE"),
    Case(26, "bits against datatype", "s.nii", fields(bitpix=8), "BAD_DATATYPE"),
    Case(27, "negative offset", "s.nii", fields(vox_offset=-16), "BAD_OFFSET"),
    Case(27, "offset in the header", "s.nii", fields(vox_offset=16), "BAD_OFFSET"),
    Case(27, "huge offset", "s.nii", fields(vox_offset=1e9), "TRUNCATED"),
    Case(27, "offset that is no number", "s.nii", fields(vox_offset=np.nan), "BAD_OFFSET"),
    Case(28, "header size", "s.nii", fields(sizeof_hdr=347), notes=("HEADER_SIZE",)),
    Case(29, "slope 0", "s.nii", fields(scl_slope=0, scl_inter=5), notes=("NO_SCALING",)),
    Case(29, "slope NaN", "s.nii", fields(scl_slope=np.nan, scl_inter=np.nan), notes=("NO_SCALING",)),
    Case(29, "slope infinite", "s.nii", fields(scl_slope=np.inf), notes=("NO_SCALING",)),
    Case(29, "intercept infinite", "s.nii", fields(scl_slope=1.0, scl_inter=np.inf), "BAD_SCALING"),
    Case(30, "slope 1e30", "s.nii", fields(scl_slope=1e30, scl_inter=0), "VALUE_RANGE"),
    Case(31, "32767 cubed in 1 kB", "s.nii", fields(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "TOO_LARGE"),
    Case(31, "4000 cubed in 1 kB", "s.nii", fields(dim=[3, 4000, 4000, 4000, 1, 1, 1, 1]), "TOO_LARGE"),
    Case(31, "1000 cubed in 1 kB", "s.nii", fields(dim=[3, 1000, 1000, 1000, 1, 1, 1, 1]), "TRUNCATED"),
    Case(32, "gzip bomb", "s.nii.gz", gzip_bomb, "GZIP_BOMB"),
    Case(32, "gzip bomb behind the voxels", "s.nii.gz", content(gzip.compress(plain() + bytes(2**25), 1)), "TRAILING_DATA"),
    Case(33, "zero spacing", "s.nii", fields(pixdim={2: 0.0}), "BAD_SPACING"),
    Case(34, "negative spacing", "s.nii", fields(pixdim={1: -0.8}), notes=("NEGATIVE_SPACING",)),
    Case(35, "NaN spacing", "s.nii", fields(pixdim={2: np.nan}), "BAD_SPACING"),
    Case(36, "spacing 1e-7", "s.nii", lambda path: save(path, hu(), np.diag([0.8, 0.8, 1e-7, 1])), "BAD_SPACING"),
    Case(37, "spacing 800", "s.nii", lambda path: save(path, hu(), np.diag([800.0, 800.0, 2500.0, 1])), "BAD_SPACING"),
    Case(37, "spacing in metres", "s.nii", fields(xyzt_units=1), "BAD_UNIT"),
    Case(37, "spacing in micrometres", "s.nii", fields(xyzt_units=3), "BAD_UNIT"),
    Case(37, "spacing without a unit", "s.nii", fields(xyzt_units=0)),
    Case(38, "no form", "s.nii", fields(sform_code=0, qform_code=0), notes=("ORIENTATION_UNKNOWN",), mirrored=True),
    Case(39, "sform of rank 2", "s.nii", fields(srow_x=0.0), "BAD_AFFINE"),
    Case(39, "sform NaN", "s.nii", fields(srow_x=np.nan), "BAD_AFFINE"),
    Case(39, "sform zero", "s.nii", fields(srow_x=0.0, srow_y=0.0, srow_z=0.0), "BAD_AFFINE"),
    Case(39, "sform with equal rows", "s.nii", fields(srow_x=[0.8, 0.8, 0, 0], srow_y=[0.8, 0.8, 0, 0]), "BAD_AFFINE"),
    Case(39, "sform a light year away", "s.nii", fields(srow_x={3: 1e19}), "BAD_AFFINE"),
    Case(39, "qform that is no rotation", "s.nii", fields(sform_code=0, qform_code=1, quatern_b=5.0), "BAD_AFFINE"),
    Case(39, "qform NaN", "s.nii", fields(sform_code=0, qform_code=1, quatern_b=np.nan), "BAD_AFFINE"),
    Case(39, "qform without handedness", "s.nii", fields(sform_code=0, qform_code=1, pixdim={0: 0}), notes=("NO_HANDEDNESS",)),
    Case(40, "sheared by 10 degrees", "s.nii", lambda path: save(path, hu(), sheared(10)), notes=("SHEARED",)),
    Case(40, "sheared by 20 degrees", "s.nii", lambda path: save(path, hu(), sheared(20)), notes=("SHEARED",)),
    Case(40, "sheared by 30 degrees", "s.nii", lambda path: save(path, hu(), sheared(30)), notes=("SHEARED",)),
    Case(40, "sheared, spacing of the table", "s.nii", lambda p: save(p, hu(), sheared(10), pixdim={3: 2.5}), "SPACING_CONFLICT"),
    Case(40, "straight, spacing 2 % off", "s.nii", fields(pixdim={3: 2.55}), "SPACING_CONFLICT"),
    Case(41, "oblique", "s.nii", lambda path: save(path, hu(), rotated(30)), notes=("OBLIQUE",)),
    Case(43, "equal forms", "s.nii", two_forms(AFFINE)),
    Case(43, "forms half a mm apart", "s.nii", two_forms(moved(0.5)), notes=("FORMS_DIFFER",)),
    Case(43, "forms 2 mm apart", "s.nii", two_forms(moved(2.0)), "FORMS_DISAGREE"),
    Case(43, "mirrored forms", "s.nii", two_forms(np.diag([-0.8, 0.8, 2.5, 1.0])), "FORMS_DISAGREE"),
    Case(44, "values 0 to 1", "s.nii", values(lambda array: (array + 1000) / 2500), "NOT_HOUNSFIELD"),
    Case(45, "8 bits, windowed", "s.nii", lambda path: save(path, (hu() // 10 + 100).astype(np.uint8)), "NOT_HOUNSFIELD"),
    Case(46, "no intercept", "s.nii", lambda path: save(path, hu() + np.int16(1024)), "NOT_HOUNSFIELD"),
    Case(47, "unsigned 16 bits of a PET", "s.nii", lambda path: save(path, (hu() + 1000).astype(np.uint16)), "NOT_HOUNSFIELD"),
    Case(48, "constant", "s.nii", lambda path: save(path, hu() * 0 - np.int16(1024)), "CONSTANT"),
    Case(49, "beyond 16 bits", "s.nii", values(voxel(40000.0)), "VALUE_RANGE"),
    Case(55, "a suffix of nothing", "s.dat", content(plain()), "UNKNOWN_TYPE"),
    Case(55, "umlauts and spaces", "Bauch \u00fc\u65e5 1.nii.gz", content(GZ)),
    Case(55, "a line break", "a\nb.nii.gz", content(GZ)),
    Case(55, "bytes that are no text", os.fsdecode(b"a\xff.nii.gz"), content(GZ)),
    Case(55, "many members", "s.nii.gz", content(gzip.compress(plain()[:401]) + gzip.compress(plain()[401:]) + bytes(512))),
]
