"""A head that gives a class for every pixel of an image, from the feature maps of its backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.heads import IGNORED, Head
from scizoo.models.timm_backbone import pixels_of

if TYPE_CHECKING:
    from scizoo.data.targets import TargetEncoder

_FINEST = 4  # pixels between two places of the decoder's last map
_BLOCKS = 4  # of a vision transformer, whose maps are all of one size


class SegmentationHead(Head):
    """A class for every pixel, by a light feature pyramid over the maps of a timm backbone.

    Maps are brought to one width and added up from the coarsest to the finest, each followed by a 3 x 3
    convolution (Kirillov et al. 2019, Panoptic FPN, arXiv 1901.02446, with sums in the place of its
    branches); the last one is made finer until its places are ``4`` pixels apart, and its class scores are
    interpolated to the pixels. The blocks of a vision transformer give maps of one size.

    The loss is the sum of soft Dice (Milletari et al. 2016, arXiv 1606.04797; over the whole batch and the
    classes other than the background, as nnU-Net has it, Isensee et al. 2021, Nat. Methods 18, 203) and
    cross-entropy.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and number of classes, C.
    maps : sequence of (int, int)
        Channels and stride of each feature map; the backbone tells them.
    levels : sequence of int, optional
        Which of the backbone's maps are used; by default all with a stride of 4 or more, and of maps of one
        size four at even distances.
    width : int
        Channels of the decoder.
    dropout : float
        On the last map.
    dice, cross_entropy : float
        Weights of the two losses.
    class_weights : sequence of float, optional
        One weight a class in the cross-entropy.
    background : bool
        Whether the first class is what no other covers.
    """

    kind = "segmentation"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        maps: Sequence[Sequence[int]],
        levels: Sequence[int] | None = None,
        width: int = 64,
        dropout: float = 0.0,
        dice: float = 1.0,
        cross_entropy: float = 1.0,
        class_weights: Sequence[float] | None = None,
        background: bool = True,
    ):
        super().__init__(hidden_size, outputs)
        self.maps = [(int(channels), int(stride)) for channels, stride in maps]
        self.levels = _levels(self.maps) if levels is None else sorted({int(level) for level in levels})
        if not self.levels or self.levels[0] < 0 or self.levels[-1] >= len(self.maps):
            raise ConfigError(
                f"head.levels={self.levels}: the backbone has {len(self.maps)} maps.",
                expected=f"numbers from 0 to {len(self.maps) - 1}",
            )
        if dice < 0 or cross_entropy < 0 or dice + cross_entropy <= 0:
            raise ConfigError(f"head.dice={dice} and head.cross_entropy={cross_entropy} weigh nothing.")
        if class_weights is not None and len(class_weights) != outputs:
            raise ConfigError(
                f"head.class_weights holds {len(class_weights)} weights for {outputs} classes.",
                expected="one weight a class, in the order of the classes",
            )
        self.width, self.dropout, self.background = int(width), float(dropout), bool(background)
        self.dice, self.cross_entropy = float(dice), float(cross_entropy)
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
        used = [self.maps[level] for level in self.levels]
        self.lateral = nn.ModuleList(nn.Conv2d(channels, self.width, 1) for channels, _ in used)
        self.merge = nn.ModuleList(_block(self.width) for _ in used)
        finer, stride = 0, min(stride for _, stride in used)
        while stride > _FINEST:
            finer, stride = finer + 1, stride // 2
        self.finer = nn.ModuleList(_block(self.width) for _ in range(finer))
        self.drop = nn.Dropout2d(self.dropout)
        self.project = nn.Conv2d(self.width, outputs, 1)
        weights = None if self.class_weights is None else torch.tensor(self.class_weights)
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone) -> dict[str, Any]:
        """Return the sizes of the backbone's feature maps.

        Raises
        ------
        ConfigError
            When the backbone has none.
        """
        if cfg.get("maps") is not None:
            return {}
        return {"maps": _maps_of(backbone)}

    def bind(self, backbone: Backbone) -> Self:
        """Ask the backbone for the maps."""
        _maps_of(backbone)
        giver: Any = backbone
        giver.give_maps(self.levels)
        return self

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``logits`` ``[B, C, h, w]``, one score a class and pixel."""
        if hidden.maps is None:
            raise ConfigError("SegmentationHead was given no feature maps.", remedy="call bind(backbone).")
        shape = pixels_of(batch).shape[-2:]
        state: Tensor | None = None
        for lateral, merge, found in reversed(list(zip(self.lateral, self.merge, hidden.maps, strict=True))):
            here = lateral(found)
            if state is not None:
                here = here + _resized(state, here.shape[-2:])
            state = merge(here)
        assert state is not None
        for block in self.finer:
            height, width = state.shape[-2:]
            state = block(_resized(state, (2 * height, 2 * width)))
        return {"logits": _resized(self.project(self.drop(state)), shape)}

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Dice and cross-entropy against ``target`` ``[B, h, w]``; pixels labelled -100 do not count."""
        if "target" not in batch:
            raise DataError("The batch holds no 'target'.", remedy="give the data label maps to train on.")
        logits, target = outputs["logits"].float(), batch["target"].long()
        if target.shape != (logits.shape[0], *logits.shape[2:]):
            raise DataError(f"Labels of shape {list(target.shape)} for scores of {list(logits.shape)}.")
        known = target != IGNORED
        total = logits.new_zeros(())
        if self.cross_entropy:
            each = F.cross_entropy(
                logits, target, weight=self.weights, ignore_index=IGNORED, reduction="none"
            )
            size: Tensor = known.sum().float()
            if self.weights is not None:
                size = self.weights[target.clamp(min=0)].masked_fill(~known, 0.0).sum()
            total = total + self.cross_entropy * each.sum() / size.clamp(min=1e-12)
        if self.dice:
            total = total + self.dice * self._dice_loss(logits, target, known)
        return total

    def _dice_loss(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        first = 1 if self.background and self.outputs > 1 else 0
        said = logits.softmax(dim=1).masked_fill(~known[:, None], 0.0)[:, first:]
        true = F.one_hot(target.clamp(min=0), self.outputs).movedim(-1, 1).to(said.dtype)
        true = true.masked_fill(~known[:, None], 0.0)[:, first:]
        both, sizes = ((said * true).sum((0, 2, 3)), (said + true).sum((0, 2, 3)))
        return 1.0 - ((2.0 * both + 1.0) / (sizes + 1.0)).mean()

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``probability`` ``[B, C, h, w]`` of each class at each pixel of the plane."""
        return {"probability": outputs["logits"].float().softmax(dim=1)}

    def zero_shot(self, backbone: Backbone, target: TargetEncoder) -> Head:
        """Return itself for a task of the same kind and number of classes."""
        if target.kind != self.kind or target.outputs != self.outputs:
            return super().zero_shot(backbone, target)
        return self

    def inherit(self, other: Head) -> bool:
        """Begin from the decoder of a checkpoint, and from its classes where they are as many."""
        if not isinstance(other, SegmentationHead):
            return False
        if (other.maps, other.levels, other.width) != (self.maps, self.levels, self.width):
            return False
        state = other.state_dict()
        if other.outputs != self.outputs:
            state = {name: value for name, value in state.items() if not name.startswith("project.")}
        self.load_state_dict(state, strict=False)
        return True

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        return {
            "maps": [list(one) for one in self.maps],
            "levels": list(self.levels),
            "width": self.width,
            "dropout": self.dropout,
            "dice": self.dice,
            "cross_entropy": self.cross_entropy,
            "class_weights": self.class_weights,
            "background": self.background,
        }


def _maps_of(backbone: Any) -> list[tuple[int, int]]:
    if not callable(getattr(backbone, "map_sizes", None)):
        raise ConfigError(
            f"segmentation needs feature maps of images, which {type(backbone).__name__} does not give.",
            expected="a backbone of timm",
        )
    found: list[tuple[int, int]] = backbone.map_sizes()
    return found


def _levels(maps: Sequence[tuple[int, int]]) -> list[int]:
    """Choose maps: those of a stride of 4 and more; of many of one size a few, the last among them."""
    wanted = [place for place, (_, stride) in enumerate(maps) if stride >= _FINEST] or [len(maps) - 1]
    if len({maps[place][1] for place in wanted}) > 1 or len(wanted) <= _BLOCKS:
        return wanted
    step = len(wanted) / _BLOCKS
    return [wanted[round((number + 1) * step) - 1] for number in range(_BLOCKS)]


def _block(width: int) -> nn.Module:
    groups = next(groups for groups in (8, 4, 2, 1) if width % groups == 0)
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(groups, width), nn.GELU())


def _resized(state: Tensor, shape: Sequence[int]) -> Tensor:
    if tuple(state.shape[-2:]) == tuple(shape):
        return state
    return F.interpolate(state, size=tuple(shape), mode="bilinear", align_corners=False)
