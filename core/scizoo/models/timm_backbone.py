"""Any architecture of timm as a backbone: images, or anything laid out as channels over a plane."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from timm.models._hub import save_config_for_hf
from torch import Tensor

from scizoo.errors import CheckpointError, ConfigError, DataError, did_you_mean
from scizoo.models.backbones import Adapters, Backbone, Hidden, bare_state, cast_state, read_config
from scizoo.models.initialise import WEIGHTS, LoadReport, load_into


class TimmBackbone(Backbone):
    """A timm model without its classifier; patches or places of the last feature map are the sequence.

    Parameters
    ----------
    model : nn.Module
        What ``timm.create_model`` gives with ``num_classes=0``.
    architecture : str
        Its name in timm.
    model_args : mapping
        The other arguments it was created with.
    """

    input_key = "pixel_values"

    def __init__(self, model: Any, architecture: str, model_args: Mapping[str, Any]):
        super().__init__()
        self.model: Any = model
        self.architecture = architecture
        self.model_args = dict(model_args)
        self.hidden_size = int(model.num_features)
        #: How many of the first states are not places of the image (class and register tokens).
        self.prefix_tokens = int(getattr(model, "num_prefix_tokens", 0))
        self._map_places: list[int] | None = None

    def map_sizes(self) -> list[tuple[int, int]]:
        """Give the channels and the stride of each feature map that the architecture can give, in its order.

        Raises
        ------
        ConfigError
            When timm has no feature maps of this architecture.
        """
        known = getattr(self.model, "feature_info", None)
        if not known or not callable(getattr(self.model, "forward_intermediates", None)):
            raise ConfigError(
                f"timm gives no feature maps of '{self.architecture}'.",
                remedy="choose another one, such as convnext_atto, resnet18 or vit_tiny_patch16_224.",
            )
        return [(int(one["num_chs"]), int(one["reduction"])) for one in known]

    def give_maps(self, places: Sequence[int] | None) -> None:
        """Let ``forward`` give these of the :meth:`map_sizes` too, or none."""
        self._map_places = None if places is None else [int(place) for place in places]

    @classmethod
    def from_config(
        cls,
        architecture: str,
        in_chans: int = 3,
        img_size: int | tuple[int, int] | None = None,
        **model_args: Any,
    ) -> TimmBackbone:
        """Build a new model with initial weights.

        Parameters
        ----------
        architecture : str
            A name known to timm: ``vit_tiny_patch16_224``, ``convnext_atto``, ``resnet10t``, ...
        in_chans : int
            Channels of the input.
        img_size : int or tuple of int, optional
            Height and width, for architectures built for one size; others take any.
        **model_args
            Further arguments of that architecture (``drop_path_rate``, ``embed_dim``, ``depth``, ...).

        Returns
        -------
        TimmBackbone
            In float32.

        Raises
        ------
        ConfigError
            When timm knows no such architecture or argument.
        """
        name = architecture.partition(".")[0]
        if not timm.is_model(name):
            raise ConfigError(
                f"backbone: timm knows no architecture '{architecture}'.",
                remedy=did_you_mean(name, timm.list_models()),
            )
        arguments: dict[str, Any] = {"in_chans": in_chans, **model_args}
        if img_size is not None:
            arguments["img_size"] = list(img_size) if isinstance(img_size, tuple | list) else int(img_size)
        try:
            model = cls._create(name, arguments)
        except (TypeError, ValueError, AssertionError, RuntimeError) as error:
            raise ConfigError(f"backbone: timm refuses '{name}' with {arguments}: {error}") from error
        return cls(model, name, arguments)

    @staticmethod
    def _create(name: str, arguments: dict[str, Any]) -> Any:
        try:
            return timm.create_model(name, pretrained=False, num_classes=0, **arguments)
        except TypeError as error:
            # Convolutions take images of any size and know no such argument; timm has no list of them.
            if "img_size" not in arguments or "'img_size'" not in str(error):
                raise
            del arguments["img_size"]
            return timm.create_model(name, pretrained=False, num_classes=0, **arguments)

    @classmethod
    def load(cls, directory: str | Path) -> TimmBackbone:
        """Open a folder that ``save`` or timm wrote; a classifier in it is reported and left out.

        Raises
        ------
        CheckpointError
            When the config is not timm's or the weights do not fit it.
        """
        config = read_config(directory)
        if "architecture" not in config:
            raise CheckpointError(f"{Path(directory) / 'config.json'} names no timm architecture.")
        arguments = dict(config.get("model_args") or {})
        for taken in ("num_classes", "pretrained", "global_pool"):
            arguments.pop(taken, None)
        if "in_chans" not in arguments:
            size = (config.get("pretrained_cfg") or {}).get("input_size") or [3]
            arguments["in_chans"] = int(size[0])
        backbone = cls.from_config(config["architecture"], **arguments)
        classifier = (config.get("pretrained_cfg") or {}).get("classifier") or "head.fc"
        names = [classifier] if isinstance(classifier, str) else list(classifier)
        report: LoadReport = load_into(
            backbone.model, Path(directory) / WEIGHTS, allow_unexpected=[f"{name}.*" for name in names]
        )
        backbone.load_report = report
        return backbone

    def forward(self, batch: Mapping[str, Tensor]) -> Hidden:
        """Compute hidden states of ``pixel_values``, of any shape that :func:`pixels_of` takes.

        Returns
        -------
        Hidden
            ``[B, T, D]``: class and register tokens first where the architecture has them, then the places of
            the image row by row; all of them real.
        """
        pixels = pixels_of(batch)
        channels = self.model_args.get("in_chans")
        if channels is not None and pixels.shape[1] != channels:
            raise DataError(
                f"'{self.architecture}' is built for {channels} channels; the images have {pixels.shape[1]}.",
                remedy=f"set backbone.in_chans={pixels.shape[1]} for a new model.",
            )
        maps: list[Tensor] | None = None
        try:
            if self._map_places is None:
                features = self.model.forward_features(pixels)
            else:
                features, maps = self.model.forward_intermediates(pixels, indices=self._map_places)
        except AssertionError as error:
            raise DataError(f"Images of shape {list(pixels.shape[1:])} do not fit: {error}") from error
        if features.ndim == 4:
            channels_last = getattr(self.model, "output_fmt", "NCHW") == "NHWC"
            features = features.flatten(1, 2) if channels_last else features.flatten(2).transpose(1, 2)
        elif features.ndim == 2:
            features = features[:, None]
        mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        return Hidden(features, mask, maps=maps)

    def save(
        self, directory: str | Path, dtype: torch.dtype | str | None = None, adapters: Adapters = "refuse"
    ) -> None:
        """Write ``config.json`` and ``model.safetensors`` for ``timm.create_model("local-dir:...")``.

        Parameters
        ----------
        directory : str or Path
            An existing or new folder.
        dtype : torch.dtype or str, optional
            How floating-point weights are stored.
        adapters : {"refuse", "leave_out"}
            See :meth:`Backbone.save`.
        """
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        wrapped = getattr(self.model, "get_base_model", None)
        model = wrapped() if callable(wrapped) else self.model
        state = bare_state(model, adapters)
        save_file(cast_state(state, dtype), folder / WEIGHTS, metadata={"format": "pt"})
        save_config_for_hf(model, str(folder / "config.json"), model_args=self.model_args)

    def gradient_checkpointing(self, enabled: bool = True) -> None:
        """Recompute activations in the backward pass, or stop doing so."""
        switch = getattr(self.model, "set_grad_checkpointing", None)
        if switch is None:
            super().gradient_checkpointing(enabled)
        else:
            switch(enabled)

    def attention_flops_per_token(self, seq_len: int) -> float:
        """Count 4 T D a block of a vision transformer; weights of convolutions are counted once a place."""
        blocks = getattr(self.model, "blocks", None)
        embedded = "embed_dim" in inspect.signature(type(self.model).__init__).parameters
        return 4.0 * seq_len * self.hidden_size * len(blocks) if embedded and blocks is not None else 0.0


def pixels_of(batch: Mapping[str, Tensor]) -> Tensor:
    """Return the images of a batch as floats ``[B, C, H, W]``.

    Parameters
    ----------
    batch : mapping
        ``pixel_values`` ``[B, C, H, W]``, or ``[B, 1, C, H, W]`` as a tokenizer gives it whose rows are one
        position that holds the whole image. Bytes become numbers from 0 to 1.

    Raises
    ------
    DataError
        When there are no images, or of another shape.
    """
    if "pixel_values" not in batch:
        raise DataError(f"A batch for images lacks 'pixel_values'; it has {sorted(batch)}.")
    pixels = batch["pixel_values"]
    if pixels.ndim == 5 and pixels.shape[1] == 1:
        pixels = pixels[:, 0]
    if pixels.ndim != 4:
        raise DataError(
            f"'pixel_values' have the shape {list(pixels.shape)}.",
            expected="[images, channels, height, width]",
            remedy="encode an image as one position: a row of length 1 over [channels, height, width].",
        )
    if pixels.dtype == torch.uint8:
        return pixels.to(torch.get_default_dtype()) / 255.0
    return pixels
