"""What is compared: a model, the mask rule it is trained with, and what is changed of its configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, get_args

from maesil_monai.masking import RuleName

RULES: tuple[str, ...] = get_args(RuleName)


@dataclass(frozen=True)
class Entry:
    """One line of the comparison.

    Its text is ``MODEL[@RULE][+KEY=VALUE...]``: the name of an overlay in ``bundle/configs/models``, the mask rule of the
    training where it is not the model's own, and further keys of ``train.json``.

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
            ValueError: for an empty model, an unknown rule or a change without a value.
        """
        head, *changes = text.strip().split("+")
        model, _, rule = head.partition("@")
        if not model or (rule and rule not in RULES) or head.endswith("@"):
            raise ValueError(
                f"model {text!r}: expected MODEL, MODEL@RULE or MODEL@RULE+KEY=VALUE with a rule of {', '.join(RULES)}."
            )
        pairs = []
        for change in changes:
            key, sign, value = change.partition("=")
            if not (key and sign and value):
                raise ValueError(f"model {text!r}: {change!r} is no change; expected KEY=VALUE.")
            pairs.append((key, _value(value)))
        return cls(model, rule or None, tuple(pairs))

    @property
    def label(self) -> str:
        """The model with its changes, without the rule: what the tables call it."""
        return "+".join([self.model, *(f"{key}={_text(value)}" for key, value in self.changes)])

    def __str__(self) -> str:
        rule = f"@{self.rule}" if self.rule else ""
        return self.model + rule + self.label[len(self.model) :]


def _value(text: str) -> Any:
    """Reads a number, true, false, null or a list as JSON; anything else is a name."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
