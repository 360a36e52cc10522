"""From folders of scans to a store that training reads: who is who, what is admitted, which side it is on, and a report."""

from maesil_monai.data.prepare.options import PrepareOptions
from maesil_monai.data.prepare.prepare_store import Prepared, prepare

__all__ = ["PrepareOptions", "Prepared", "prepare"]
