"""Mixed precision around the network call.

The engines' own ``amp=True`` does nothing on a CPU and adds a gradient scaler, which bfloat16 does not need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer

from maesil_monai.errors import BadSetting

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class AutocastInferer(Inferer):
    """Calls the network under ``torch.autocast`` and returns float32; losses and metrics stay in full precision.

    Args:
        amp: True for bfloat16, False for no autocast, or ``"bfloat16"``, ``"float16"`` by name (``"float16"`` for inference only:
            its gradients underflow without a scaler).

    Raises:
        ValueError: for another name.

    Example:
        >>> AutocastInferer("bfloat16")(torch.ones(1, 2), torch.nn.Linear(2, 3)).dtype
        torch.float32
    """

    def __init__(self, amp: bool | str = True) -> None:
        if not isinstance(amp, bool) and amp not in DTYPES:
            raise BadSetting(f"amp={amp!r}: expected true, false or one of {', '.join(DTYPES)}.")
        self.dtype = DTYPES[amp] if isinstance(amp, str) else (torch.bfloat16 if amp else None)

    def __call__(self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Gives ``network(inputs, *args, **kwargs)`` as float32."""
        if self.dtype is None:
            return network(inputs, *args, **kwargs).float()
        with torch.autocast(inputs.device.type, self.dtype):
            prediction = network(inputs, *args, **kwargs)
        return prediction.float()
