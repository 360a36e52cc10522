"""What is compared: a model, the mask rule it is trained with, and what is changed of its configuration."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, get_args

from maesil_monai.errors import BadSetting
from maesil_monai.masking import RuleName

RULES: tuple[str, ...] = get_args(RuleName)


@dataclass(frozen=True)
class Entry:
    """One line of the comparison.

    Its text is ``MODEL[@RULE][+KEY=VALUE...]``: the name of an overlay in ``bundle/configs/models``, the mask rule of the
    training where it is not the model's own, and further keys of ``train.json``. A value is JSON or a plain name, and holds
    no ``=``.

    Args:
        model: name of the overlay.
        rule: mask rule of the training; None: the overlay's own.
        changes: keys and values.

    Example:
        >>> entry = Entry.parse("maesil@plane+decoder=cross_attention+mask_ratio=0.6")
        >>> entry.rule, entry.changes
        ('plane', (('decoder', 'cross_attention'), ('mask_ratio', 0.6)))
        >>> str(entry)
        'maesil@plane+decoder=cross_attention+mask_ratio=0.6'
    """

    model: str
    rule: str | None = None
    changes: tuple[tuple[str, Any], ...] = field(default=())

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Reads an entry.

        Raises:
            ValueError: for an empty model, an unknown rule, a change without a value or of the same key, or a value that begins
                like JSON and is none.
        """
        head, *changes = re.split(r"\+(?!\d)", text.strip())  # a digit follows the sign of an exponent: 1e+22
        model, sign, rule = head.partition("@")
        if not model or "=" in head or (sign and rule not in RULES):
            raise BadSetting(
                f"model {text!r}: expected MODEL, MODEL@RULE or MODEL@RULE+KEY=VALUE with a rule of {', '.join(RULES)}."
            )
        pairs: dict[str, Any] = {}
        for change in changes:
            key, sign, value = change.partition("=")
            if not (key and sign and value) or "=" in value:
                raise BadSetting(f"model {text!r}: {change!r} is no change; expected KEY=VALUE.")
            if key in pairs:
                raise BadSetting(f"model {text!r}: {key} is changed twice; expected each key once.")
            try:
                pairs[key] = _value(value)
            except ValueError as error:
                raise BadSetting(f"model {text!r}: {value!r} is no JSON ({error}); expected such as [32,32,16].") from None
        return cls(model, rule or None, tuple(pairs.items()))

    def __hash__(self) -> int:  # values may be lists, which have no hash
        return hash((self.model, self.rule, tuple(key for key, _ in self.changes)))

    @property
    def label(self) -> str:
        """The model with its changes, without the rule: what the tables call it."""
        return "+".join([self.model, *(f"{key}={_text(value)}" for key, value in self.changes)])

    def __str__(self) -> str:
        rule = f"@{self.rule}" if self.rule else ""
        return self.model + rule + self.label[len(self.model) :]


def _value(text: str) -> Any:
    """Reads a number, true, false, null, a list or a dictionary as JSON; anything else is a name.

    Raises:
        ValueError: for a text that begins with a bracket or a quote, and is no JSON.
    """
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        if text[:1] in ("[", "{", '"'):
            raise
        return text


def _text(value: Any) -> str:
    """Writes a value so that :func:`_value` reads the same."""
    if isinstance(value, str) and value[:1] not in ("[", "{", '"') and _value(value) == value:
        return value
    return json.dumps(value, separators=(",", ":"))
