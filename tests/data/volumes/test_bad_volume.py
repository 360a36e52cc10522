"""Errors of bad volumes: one family, complete, able to travel."""

import pickle

import pytest

from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume, UnreadableVolume


@pytest.mark.parametrize(
    ("kind", "also"), [(BadVolume, ValueError), (MissingVolume, FileNotFoundError), (UnreadableVolume, OSError)]
)
def test_an_error_says_everything_and_survives_a_pickle(kind, also):
    error = kind("CODE", "folder/scan.nii", "this", "that", "Do so.")
    for twin in (error, pickle.loads(pickle.dumps(error))):
        assert type(twin) is kind
        assert isinstance(twin, (BadVolume, also))
        assert str(twin) == "folder/scan.nii: this; expected that. Do so. [CODE]"
        assert (twin.code, twin.path, twin.found, twin.expected, twin.cure) == (
            "CODE",
            "folder/scan.nii",
            "this",
            "that",
            "Do so.",
        )


def test_one_except_clause_catches_the_family():
    for kind in (BadVolume, MissingVolume, UnreadableVolume):
        with pytest.raises(BadVolume):
            raise kind("CODE", "scan", "this", "that", "Do so.")
