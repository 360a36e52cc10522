"""The bundle's own chains of transforms on a store entry give what they give on the file it came from."""

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset

from maesil_monai.data.store import open_entry, write_entry
from maesil_monai.data.volumes.volume_files import read_volume
from maesil_monai.transforms import BodyMask, LoadVolume

CONFIG = Path(__file__).parents[3] / "bundle" / "configs" / "train.json"


@pytest.fixture(scope="module")
def pair(scan_folder, tmp_path_factory):
    """A NIfTI scan and its entry."""
    scan = sorted(scan_folder.rglob("ct.nii.gz"))[0]
    source = read_volume(scan)
    entry = tmp_path_factory.mktemp("store") / "case.zarr"
    write_entry(entry, source, BodyMask()(source).array, None, {})
    return scan, entry


def _parser(policy):
    parser = ConfigParser()
    parser.read_config(CONFIG)
    parser.update({"resample_policy": policy, "spacing_mm": 6.0, "cube_size": 96, "superpatch_size": 32, "min_body": 0.3})
    return parser


@pytest.mark.parametrize("policy", ["stretch", "spacing"])
def test_training_samples_from_an_entry_equal_those_from_its_file(pair, policy):
    chain = _parser(policy).get_parsed_content("train#preprocessing")
    samples = []
    for path in pair:
        chain.set_random_state(seed=4)
        samples.append([sample for _ in range(6) for sample in chain({"image": str(path)})])
    for from_file, from_entry in zip(*samples, strict=True):
        assert sorted(from_file) == ["hidden", "image", "target"]
        assert all(torch.equal(from_file[key], from_entry[key]) for key in from_file)


def test_validation_superpatches_from_an_entry_equal_those_from_its_file(pair):
    chain = _parser("stretch").get_parsed_content("validate#preprocessing")
    for number in (0, 13, 26):
        first, second = (
            chain({"image": str(path), "superpatch": number, "mask_seed": 5, "scan": 0, "spacing_mm": [1.0] * 3}) for path in pair
        )
        for key in ("image", "body", "hidden", "target", "start"):
            assert torch.equal(torch.as_tensor(first[key]), torch.as_tensor(second[key])), key


def test_worker_processes_give_the_samples_of_the_main_process(pair):
    crop = _parser("stretch").get_parsed_content("validate#preprocessing")
    rows = [{"image": str(pair[1]), "superpatch": n, "mask_seed": 5, "scan": 0, "spacing_mm": [1.0] * 3} for n in range(4)]
    here, there = (
        [batch["image"] for batch in DataLoader(Dataset(rows, crop), batch_size=2, num_workers=workers)] for workers in (0, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


def test_a_whole_entry_goes_back_to_the_axes_of_its_file(pair):
    load = LoadVolume(lazy=False)
    from_file, from_entry = (load(path) for path in pair)
    assert torch.equal(from_file.as_tensor(), from_entry.as_tensor())
    assert torch.equal(from_file.affine, from_entry.affine)
    back, again = load.inverse(from_file), load.inverse(from_entry)
    assert torch.equal(back.as_tensor(), again.as_tensor())
    assert torch.equal(back.affine, again.affine)
    assert open_entry(pair[1]).content_box == ((0, 0, 0), open_entry(pair[1]).shape)
