"""The store: each scan a chunked, compressed Zarr v3 array at its native grid, of which a crop reads only what it needs."""

from maesil_monai.data.store.read_entry import StoredBody, StoredLabel, StoreSource, is_entry, open_entry
from maesil_monai.data.store.write import write_entry
from maesil_monai.data.store.zarr_metadata import BODY_KEY, ENTRY_SUFFIX

__all__ = ["BODY_KEY", "ENTRY_SUFFIX", "StoreSource", "StoredBody", "StoredLabel", "is_entry", "open_entry", "write_entry"]
