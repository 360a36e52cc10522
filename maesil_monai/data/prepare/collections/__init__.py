"""The layouts in which CT collections are delivered, one module for each: what scans there are, whose, on which side."""

from maesil_monai.data.prepare.collections.any_folder import any_folder
from maesil_monai.data.prepare.collections.btcv import btcv
from maesil_monai.data.prepare.collections.lidc import lidc
from maesil_monai.data.prepare.collections.listing import Candidate, Listing
from maesil_monai.data.prepare.collections.totalsegmentator import totalsegmentator

__all__ = ["Candidate", "Listing", "any_folder", "btcv", "lidc", "totalsegmentator"]
