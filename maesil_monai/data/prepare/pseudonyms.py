"""Names that tell nothing: keyed hashes of cases and patients, and the place outside the store where key and map are kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maesil_monai.errors import BadSetting
from maesil_monai.whole_files import write_whole

KEY_NAME = "key"
MAP_NAME = "names.json"
DETAILS_NAME = "details.json"
_KEY_BYTES = 32
# 64 bits: among a million scans two share a name with a probability of 3e-8, and then the second is refused.
_NAME_DIGITS = 16
_PLAIN_LENGTH = 80


class Pseudonyms:
    """Names for cases and patients.

    Args:
        key: secret of this store; who has it can test a guess of an ID, who does not cannot.
        plain: keeps IDs readable instead, changed only where a file system would stumble over them.

    Example:
        >>> names = Pseudonyms(bytes(32))
        >>> names.patient("LIDC-IDRI-0314") == names.patient("LIDC-IDRI-0314") != names.patient("LIDC-IDRI-0315")
        True
        >>> Pseudonyms(bytes(32), plain=True).case("folder", "ward 7/ct")
        'ward_7_ct-bcd7ef30'
    """

    def __init__(self, key: bytes, plain: bool = False) -> None:
        self._key = key
        self.plain = plain

    def case(self, dataset: str, case_id: str) -> str:
        """Names a scan; a file name of at most 89 ASCII characters."""
        return file_name(case_id) if self.plain else self._digest("case", dataset, case_id)[:_NAME_DIGITS]

    def patient(self, patient_id: str) -> str:
        """Names a patient; the same in all collections."""
        return patient_id if self.plain else self._digest("patient", patient_id)[:_NAME_DIGITS]

    def source_salt(self) -> bytes:
        """Gives a key, from which this one does not follow, for fingerprints of source files; workers get it."""
        return bytes.fromhex(self._digest("source"))

    def _digest(self, *parts: str) -> str:
        # JSON keeps the parts apart: ("a", "bc") is not ("ab", "c").
        return hmac.new(self._key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def file_name(name: str) -> str:
    """Gives a name that every file system takes; where characters were lost, a hash keeps different names different.

    Example:
        >>> file_name("img0001"), file_name("../x")
        ('img0001', '_x-d6b96a97')
    """
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:_PLAIN_LENGTH].lstrip("-") or "_"
    # Some file systems do not tell A from a, so capitals count as lost.
    if safe == name and safe == safe.lower():
        return safe
    return f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def private_folder(store: Path) -> Path:
    """Gives the folder beside a store that holds what must not be passed on with it."""
    return store.parent / f"{store.name}.private"


def open_private_folder(store: Path) -> Path:
    """Makes the folder beside the store, for this user alone (mode 0700)."""
    folder = private_folder(store)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def read_or_make_key(store: Path, key_file: Path | None = None) -> bytes:
    """Gives the store's key; draws it the first time. Who loses it gets other names next time.

    Args:
        store: the store; the key must not lie in it.
        key_file: where the key is; default ``STORE.private/key``.

    Returns:
        32 bytes.

    Raises:
        ValueError: if the file lies in the store, others may read it, or it holds no key.
    """
    path = private_folder(store) / KEY_NAME if key_file is None else key_file
    if path.resolve().is_relative_to(store.resolve()):
        raise BadSetting(f"key_file={path}: lies in the store {store}; expected a place that is not passed on with it.")
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, secrets.token_hex(_KEY_BYTES) + "\n")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise BadSetting(f"key_file={path}: others may read it; expected mode 0600. Run chmod 600 on it.")
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(rf"[0-9a-f]{{{2 * _KEY_BYTES}}}", text):
        raise BadSetting(f"key_file={path}: holds no key; expected {2 * _KEY_BYTES} hexadecimal digits.")
    return bytes.fromhex(text)


def write_private(path: Path, text: str) -> None:
    """Writes a file whole or not at all, readable by this user alone (mode 0600)."""
    write_whole(path, text, mode=0o600)


def add_to_map(folder: Path, names: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds to the map from published names to real ones; earlier names stay, for their entries may still be somewhere."""
    path = folder / MAP_NAME
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_private(path, json.dumps({**known, **names}, indent=1, sort_keys=True) + "\n")
