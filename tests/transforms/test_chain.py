"""The chains of training, validation and inference, from a file to a batch."""

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, Invertd, RandFlipd

from maesil_monai.transforms import (
    BatchItemsd,
    BodyMaskd,
    DualMaskd,
    LoadVolumed,
    RandSuperpatchCropd,
    ResampleToCubed,
    SuperpatchCropd,
    SuperpatchSplitd,
    WindowHUd,
)

SUPERPATCH, PATCH = (16, 16, 8), (4, 4, 2)


@pytest.fixture
def scan_path(tmp_path):
    """A scan with a body of noise, stored with axes P, L, I."""
    hu = np.full((40, 36, 14), -1000, np.int16)
    hu[6:34, 5:31] = np.random.default_rng(0).integers(-100, 200, (28, 26, 14))
    affine = np.array([[0, -1.5, 0, 30], [-1.5, 0, 0, 25], [0, 0, -3.0, 60], [0, 0, 0, 1]])
    path = tmp_path / "case_1.nii.gz"
    nib.save(nib.Nifti1Image(hu, affine), path)
    return path


def resampled(**arguments):
    return ResampleToCubed(keys=("image", "body"), superpatch_size=SUPERPATCH, mode=("linear", "mask"), **arguments)


def training_chain(resample, num_samples=2, position="free", window_hu=(-1000, 1000)):
    return Compose(
        [
            LoadVolumed(keys="image"),
            BodyMaskd(keys="image", body_key="body"),
            resample,
            RandSuperpatchCropd(("image",), SUPERPATCH, PATCH, num_samples=num_samples, position=position, min_body=0.3),
            WindowHUd(keys="image", window_hu=window_hu),
            *(RandFlipd(keys=("image", "valid"), prob=0.5, spatial_axis=axis) for axis in range(3)),
            DualMaskd(keys="image", patch_size=PATCH),
            BatchItemsd(),
        ]
    )


@pytest.mark.parametrize(
    "resample", [resampled(policy="stretch", size=(32, 32, 16)), resampled(policy="spacing", spacing_mm=2.0)]
)
def test_training_samples_are_plain_tensors_that_collate(scan_path, resample):
    chain = training_chain(resample).set_random_state(seed=0)
    loader = DataLoader(Dataset([{"image": str(scan_path), "case_id": "1"}] * 2, chain), batch_size=2)
    (batch,) = list(loader)
    assert sorted(batch) == ["hidden", "image", "target"]
    assert all(type(value) is torch.Tensor for value in batch.values())
    assert batch["image"].shape == (4, 1, *SUPERPATCH)
    assert batch["image"].dtype == torch.float32
    assert 0 <= batch["image"].min() < batch["image"].max() <= 1
    # 4 planes of 16 tokens, three quarters hidden.
    assert batch["hidden"].dtype == batch["target"].dtype == torch.bool
    assert batch["hidden"].flatten(1).sum(1).tolist() == [48] * 4
    assert not (batch["target"] & ~batch["hidden"]).any()


def test_the_hidden_patches_without_a_padded_voxel_are_the_targets(scan_path):
    # The grid's superpatches hold padding; a window from -1100 HU keeps it (-1024) apart from the scan's own air (-1000).
    resample = resampled(policy="spacing", spacing_mm=2.0)
    chain = training_chain(resample, position="grid", window_hu=(-1100, 900)).set_random_state(seed=1)
    num_padded_hidden = 0
    for _ in range(20):
        for sample in chain({"image": str(scan_path)}):
            is_padding = sample["image"] < 0.04
            has_padding = is_padding.reshape(4, 4, 4, 4, 4, 2).permute(0, 2, 4, 1, 3, 5).flatten(3).any(-1)
            assert torch.equal(sample["target"], sample["hidden"] & ~has_padding)
            num_padded_hidden += int((sample["hidden"] & has_padding).sum())
    assert num_padded_hidden > 0


def test_the_same_seed_gives_the_same_samples(scan_path):
    def samples(seed):
        chain = training_chain(resampled(policy="spacing", spacing_mm=2.0)).set_random_state(seed=seed)
        return [sample for _ in range(2) for sample in chain({"image": str(scan_path)})]

    for a, b in zip(samples(3), samples(3), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(samples(3)[0]["image"], samples(4)[0]["image"])


def test_validation_superpatches_come_with_body_start_and_fixed_masks(scan_path):
    chain = Compose(
        [
            LoadVolumed(keys="image"),
            BodyMaskd(keys="image", body_key="body"),
            resampled(policy="stretch", size=(32, 32, 16)),
            SuperpatchCropd(keys=("image", "body"), superpatch_size=SUPERPATCH, patch_size=PATCH, index_key="superpatch"),
            WindowHUd(keys="image"),
            DualMaskd(keys="image", patch_size=PATCH, seed_key="mask_seed"),
        ]
    )
    items = [{"image": str(scan_path), "superpatch": index, "mask_seed": 100 + index, "scan": 3} for index in range(8)]
    first, second = [chain(item) for item in items], [chain(item) for item in items]
    for a, b in zip(first, second, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in ("image", "body", "start", "hidden", "target", "valid"))
    assert [item["start"].tolist() for item in first[:3]] == [[0, 0, 0], [0, 0, 8], [0, 16, 0]]
    # A batch holds them as plain tensors, and nothing that no engine looks at: "valid", "superpatch" and "mask_seed" stay behind.
    batched = [BatchItemsd()(item) for item in first]
    assert all(sorted(item) == ["body", "hidden", "image", "scan", "start", "target"] for item in batched)
    assert {type(value) for item in batched for value in item.values()} == {torch.Tensor, int}
    assert all(torch.equal(a["image"], b["image"].as_tensor()) for a, b in zip(batched, first, strict=True))
    body = torch.stack([item["body"] for item in batched])
    assert body.dtype == torch.bool
    # The body takes up 28 x 26 of 40 x 36 voxels in each plane, before and after the resampling.
    assert float(body.float().mean()) == pytest.approx(28 * 26 / (40 * 36), abs=0.03)


def test_lazy_and_eager_loading_give_the_same_superpatch(scan_path):
    out = []
    for lazy in (True, False):
        chain = Compose(
            [
                LoadVolumed(keys="image", lazy=lazy),
                BodyMaskd(keys="image"),
                resampled(policy="spacing", spacing_mm=2.0),
                SuperpatchCropd(("image", "body"), SUPERPATCH, PATCH),
            ]
        )
        out.append(chain({"image": str(scan_path), "superpatch": 0}))
    for key in ("image", "body"):
        assert torch.allclose(out[0][key].as_tensor().float(), out[1][key].as_tensor().float(), atol=1e-3)
        assert torch.allclose(out[0][key].affine, out[1][key].affine)
    assert torch.equal(out[0]["valid"], out[1]["valid"])


def test_a_prediction_goes_back_onto_the_scans_own_grid_in_hounsfield_units(scan_path):
    preprocessing = Compose(
        [
            LoadVolumed(keys="image", lazy=False),
            ResampleToCubed(keys="image", policy="spacing", spacing_mm=1.5, superpatch_size=SUPERPATCH),
            WindowHUd(keys="image"),
            SuperpatchSplitd(keys="image", superpatch_size=SUPERPATCH),
        ]
    )
    data = preprocessing({"image": str(scan_path)})
    data["pred"] = MetaTensor(data["image"].as_tensor().clone())
    pred = Invertd(keys="pred", transform=preprocessing, orig_keys="image")(data)["pred"]
    file = nib.load(scan_path)
    hu = np.asarray(file.dataobj)
    assert tuple(pred.shape[1:]) == hu.shape
    assert np.allclose(pred.affine, file.affine)
    # In plane the spacing stays; along S-I 3 mm became 1.5 mm and back: each voxel is a smoothed one of its neighbours.
    means = pred[0].as_tensor()[10:30, 10:26].mean((0, 1)).numpy()
    assert means == pytest.approx(hu[10:30, 10:26].mean((0, 1)), abs=12)
    assert pred[0, :4].as_tensor().unique().tolist() == [-1000]
