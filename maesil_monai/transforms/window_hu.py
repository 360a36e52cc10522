"""Brings Hounsfield units to the range a network works in, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.transforms import InvertibleTransform
from monai.utils import convert_to_dst_type, convert_to_tensor

from maesil_monai.errors import BadSetting
from maesil_monai.transforms.each_key import EachKeyd


class WindowHU(InvertibleTransform):
    """Maps a window of Hounsfield units linearly to 0..1.

    The inverse maps 0..1 back to HU; what lay outside the window was clipped and comes back as the window's nearer end, and so
    does a network's output beyond 0..1.

    Args:
        window_hu: lower and upper end in HU, which become 0 and 1.
        clip: keeps the result within 0 and 1, that of the inverse within the window; without it both are linear everywhere.

    Raises:
        ValueError: if the window is not two finite numbers in rising order.

    Source: the paper gives no window; -1000..1000 HU is this package's choice.

    Example:
        >>> WindowHU((-1000, 1000))(torch.tensor([[[[-1024, 0, 500, 3000]]]], dtype=torch.int16)).tolist()
        [[[[0.0, 0.5, 0.75, 1.0]]]]
    """

    def __init__(self, window_hu: Sequence[float] = (-1000.0, 1000.0), clip: bool = True) -> None:
        window = tuple(float(end) for end in window_hu)
        if len(window) != 2 or not all(math.isfinite(end) for end in window) or window[0] >= window[1]:
            raise BadSetting(f"window_hu={tuple(window_hu)}: expected (lower, upper) in HU with lower < upper.")
        self.window_hu = (window[0], window[1])
        self.clip = clip

    def __call__(self, img: NdarrayOrTensor) -> torch.Tensor:
        """Windows an image.

        Args:
            img: HU, any shape, any numeric dtype.

        Returns:
            Same shape, float32; a MetaTensor keeps its affine and metadata.

        Raises:
            TypeError: if ``img`` is no array, for instance a volume that was not read yet.
        """
        tensor = convert_to_tensor(img, track_meta=get_track_meta())
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"WindowHU got a {type(img).__name__}, expected a tensor or an array: crop a lazily loaded volume first, "
                "or load it with lazy=False."
            )
        low, high = self.window_hu
        # Arithmetic on a MetaTensor copies its metadata at each step.
        values = tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
        values = values.to(torch.float32).sub(low).div_(high - low)
        if self.clip:
            values.clamp_(0.0, 1.0)
        out, *_ = convert_to_dst_type(values, dst=tensor, dtype=torch.float32)
        self.push_transform(out)
        return out

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Maps 0..1 back to HU.

        Args:
            data: any shape, a float dtype; a MetaTensor must carry the trace of this transform, a plain tensor need not.

        Returns:
            Same shape, float32, HU.

        Raises:
            ValueError: if a MetaTensor carries no trace of transforms.
            RuntimeError: if a MetaTensor carries traces of other transforms only.
        """
        low, high = self.window_hu
        if isinstance(data, MetaTensor):
            self.pop_transform(data)
            values = data.as_tensor()
        else:
            values = data
        values = values.to(torch.float32)
        if self.clip:
            values = values.clamp(0.0, 1.0)
        values = values.mul(high - low).add_(low)
        return convert_to_dst_type(values, dst=data, dtype=torch.float32)[0]


class WindowHUd(EachKeyd):
    """Dictionary form of :class:`WindowHU`.

    Args:
        keys: items to window.
        window_hu, clip: see :class:`WindowHU`.
        allow_missing_keys: passes over items that are not there.

    Raises:
        ValueError: see :class:`WindowHU`.

    Example:
        >>> WindowHUd(keys="image", window_hu=(0, 100))({"image": torch.tensor([25.0])})["image"].tolist()
        [0.25]
    """

    def __init__(
        self,
        keys: KeysCollection,
        window_hu: Sequence[float] = (-1000.0, 1000.0),
        clip: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, WindowHU(window_hu, clip), allow_missing_keys)
