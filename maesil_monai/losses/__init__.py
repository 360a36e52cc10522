"""Losses: called as ``loss(pred, label)`` with ``label`` holding ``image`` and ``target``."""

from maesil_monai.losses.reconstruction import ReconstructionLoss

__all__ = ["ReconstructionLoss"]
