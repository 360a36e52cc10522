"""What is changed of MAESIL, one thing at a time, to see what it is worth."""

from __future__ import annotations

from collections.abc import Iterator

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.model_entry import RULES, Entry
from maesil_monai.geometry import as_triple

RATIOS = (0.6, 0.85)
DECODERS = ("self_attention", "cross_attention", "hierarchical")


def ablations(bundle: BundleFiles, model: str = "maesil") -> list[Entry]:
    """Lists the variants: superpatches of half the side at equal voxels seen, mask rules, ratios, decoders, and what lessens
    the marks of patch borders.

    Half the side has an eighth of the voxels, so a batch and an epoch hold eight times as many. A ratio below the share of the
    hidden block is left out.

    Args:
        bundle: the configurations; what they have already is no variant.
        model: the overlay that is changed.
    """
    settings = bundle.settings_of(Entry(model))
    found = [
        *_superpatches(model, settings),
        *(Entry(model, rule) for rule in RULES),
        Entry(model, None, (("mask_wrap", True),)),
        *(Entry(model, None, (("mask_ratio", ratio),)) for ratio in RATIOS if ratio > settings["mask_axis_ratio"]),
        *(Entry(model, None, (("decoder", decoder),)) for decoder in DECODERS),
        Entry(model, None, (("patch_embedding", "conv_stem"),)),
        Entry(model, None, (("head", "conv"),)),
    ]
    own = {bundle.with_rule(Entry(model))}
    kept: list[Entry] = []
    for entry in map(bundle.with_rule, found):
        changed = {key: value for key, value in entry.changes if settings.get(key) != value}
        if entry in own or entry in kept or (entry.changes and not changed):
            continue
        kept.append(entry)
    return kept


def _superpatches(model: str, settings: dict[str, object]) -> Iterator[Entry]:
    size = as_triple(settings["superpatch_size"], "superpatch_size")  # type: ignore[arg-type]
    patch = as_triple(settings["patch_size"], "patch_size")  # type: ignore[arg-type]
    half = tuple(side // 2 for side in size)
    if all(side % 2 == 0 and side // 2 % width == 0 and side // 2 > width for side, width in zip(size, patch, strict=True)):
        value = half[0] if len(set(half)) == 1 else list(half)
        changes = [("superpatch_size", value)]
        changes += [(key, 8 * settings[key]) for key in ("batch_size", "superpatches_per_epoch")]  # type: ignore[operator]
        yield Entry(model, None, tuple(changes))
