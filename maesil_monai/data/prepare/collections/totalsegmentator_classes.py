"""Structures of the two releases of the TotalSegmentator collection, in the order of the ids that its authors gave them."""

from __future__ import annotations

_LUNG_LOBES = ("lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right", "lung_middle_lobe_right")
_LUNGS = (*_LUNG_LOBES, "lung_lower_lobe_right")
_VERTEBRAE = tuple(
    f"vertebrae_{part}{number}" for part, count in (("L", 5), ("T", 12), ("C", 7)) for number in range(count, 0, -1)
)
_RIBS = tuple(f"rib_{side}_{number}" for side in ("left", "right") for number in range(1, 13))
_ILIAC_VESSELS = ("iliac_artery_left", "iliac_artery_right", "iliac_vena_left", "iliac_vena_right")


def _both_sides(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{side}" for name in names for side in ("left", "right"))


_LIMB_BONES = _both_sides("humerus", "scapula", "clavicula", "femur", "hip")
_MUSCLES = _both_sides("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas")

# The 104 structures of version 1 (Zenodo 6802614).
CLASSES_V1: tuple[str, ...] = (
    *("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "aorta", "inferior_vena_cava"),
    *("portal_vein_and_splenic_vein", "pancreas", "adrenal_gland_right", "adrenal_gland_left"),
    *_LUNGS,
    *_VERTEBRAE,
    *("esophagus", "trachea", "heart_myocardium", "heart_atrium_left", "heart_ventricle_left", "heart_atrium_right"),
    *("heart_ventricle_right", "pulmonary_artery", "brain"),
    *_ILIAC_VESSELS,
    *("small_bowel", "duodenum", "colon"),
    *_RIBS,
    *_LIMB_BONES,
    *("sacrum", "face"),
    *_MUSCLES,
    "urinary_bladder",
)

# The 117 structures of version 2 (Zenodo 8367088, 10047292).
CLASSES_V2: tuple[str, ...] = (
    *("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas"),
    *("adrenal_gland_right", "adrenal_gland_left"),
    *_LUNGS,
    *("esophagus", "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon", "urinary_bladder", "prostate"),
    *("kidney_cyst_left", "kidney_cyst_right", "sacrum", "vertebrae_S1"),
    *_VERTEBRAE,
    *("heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk", "subclavian_artery_right", "subclavian_artery_left"),
    *("common_carotid_artery_right", "common_carotid_artery_left", "brachiocephalic_vein_left"),
    *("brachiocephalic_vein_right", "atrial_appendage_left", "superior_vena_cava", "inferior_vena_cava"),
    "portal_vein_and_splenic_vein",
    *_ILIAC_VESSELS,
    *_LIMB_BONES,
    "spinal_cord",
    *_MUSCLES,
    *("brain", "skull"),
    *_RIBS,
    *("sternum", "costal_cartilages"),
)
