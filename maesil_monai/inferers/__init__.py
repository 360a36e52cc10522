"""Inferers: how a network is applied to more than one superpatch."""

from maesil_monai.inferers.autocast import AutocastInferer
from maesil_monai.inferers.whole_volume import SuperpatchInferer

__all__ = ["AutocastInferer", "SuperpatchInferer"]
