"""Teach a codec to give back what it was given: waveform, mel spectra at several scales, and commitment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from scizoo.errors import ConfigError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.objective_base import Objective
from scizoo_music.codec.model import EncodecBackbone
from scizoo_music.sound.mel import MelSettings, mel_filters

_FLOOR = 1e-3  # of mel power, some 50 dB below a full-scale tone: what is quieter need not come back


class CodecReconstruction(Objective):
    """The reconstruction losses of EnCodec (arXiv 2210.13438, section 3.4), without its adversarial ones.

    In training a random number of codebooks is used for half of the batches (Zeghidour et al. 2021,
    SoundStream), so that the first ones do most of the work, and a share of the sounds goes past the
    codebooks (Defossez et al. 2024, Moshi, arXiv 2410.00037), without which codes of latents that say
    nothing yet keep the decoder from learning. Judged is the log-mel spectrum of the reconstruction, beside
    each band's mean over the record.

    Parameters
    ----------
    hidden_size, outputs : int
        Of the latents, and samples of a frame.
    rate : int
        Frames a second of the sound.
    windows : sequence of int
        Of the spectra, in samples; the last one is judged.
    waveform, spectrum, commitment : float
        Weights of the losses.
    unquantised : float
        Share of the sounds that are not quantised in training.
    """

    kind = "reconstruction"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        rate: int = 16_000,
        windows: Sequence[int] = (256, 512, 1024),
        waveform: float = 10.0,
        spectrum: float = 0.1,
        commitment: float = 0.1,
        unquantised: float = 0.5,
    ):
        super().__init__(hidden_size, outputs)
        if not windows or min(windows) < 16 or min(waveform, spectrum, commitment) < 0:
            raise ConfigError(
                f"objective: windows={list(windows)}, waveform={waveform}, spectrum={spectrum}, "
                f"commitment={commitment} do not fit.",
                expected="windows from 16 samples, weights from 0",
            )
        if not 0 <= unquantised < 1:
            raise ConfigError(f"head.unquantised={unquantised}", expected="a share from 0 to below 1")
        self.rate, self.windows = int(rate), [int(one) for one in windows]
        self.waveform, self.spectrum, self.commitment = float(waveform), float(spectrum), float(commitment)
        self.unquantised = float(unquantised)
        for window in self.windows:
            bands = min(64, window // 16)
            settings = MelSettings(self.rate, bands, window, window // 4)
            filters = torch.from_numpy(mel_filters(settings).copy())
            self.register_buffer(f"filters_{window}", filters, persistent=False)
            self.register_buffer(f"window_{window}", torch.hann_window(window), persistent=False)
        self._codec: list[
            EncodecBackbone
        ] = []  # in a list, so that its weights are not counted as the head's

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone, tokenizer: Any = None) -> dict[str, Any]:
        """Return the samples of a frame and the rate."""
        if not isinstance(backbone, EncodecBackbone):
            return {"outputs": 1}
        return {"outputs": backbone.hop, "rate": backbone.rate}

    def bind(self, backbone: Backbone) -> CodecReconstruction:
        """Take the decoder and the codebooks from the backbone.

        Raises
        ------
        ConfigError
            When it is no codec.
        """
        if not isinstance(backbone, EncodecBackbone):
            raise ConfigError(
                f"objective: {type(self).__name__} needs a codec, not a {type(backbone).__name__}.",
                expected="backbone=music/encodec-tiny",
            )
        self._codec = [backbone]
        return self

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Keep the samples as ``target``; draw how many codebooks take part, which sounds go past them."""
        books, values = self._codec[0].books, batch["values"]
        plain = torch.zeros(len(values), dtype=torch.bool)
        if self.training:
            draw = torch.rand(2 + len(values), generator=generator)
            if books > 1 and float(draw[0]) < 0.5:
                books = 1 + int(float(draw[1]) * (books - 1))
            plain = draw[2:] < self.unquantised
        return {**batch, "target": values, "books": torch.tensor(books), "plain": plain.to(values.device)}

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Code and decode.

        Returns
        -------
        dict
            With a ``target``: ``error``, a scalar; over the N values of the judged log-mel spectrum
            ``prediction``, ``target`` and ``reference``; ``entry_weight`` and ``loss_weight``. Without one:
            ``values`` ``[B, T, hop]``, the samples that come back.
        """
        codec = self._codec[0]
        target = batch.get("target")
        if target is None:
            quantised, _, _ = codec.quantise(hidden.states)
            return {"values": codec.decode(quantised).unflatten(1, (-1, codec.hop))}
        learn = hidden.mask if self.training and torch.is_grad_enabled() else None
        quantised, _, distance = codec.quantise(hidden.states, int(batch["books"]), learn)
        quantised = torch.where(batch["plain"][:, None, None], hidden.states.to(quantised.dtype), quantised)
        mask = hidden.mask
        sound = target.float().masked_fill(~mask[..., None], 0.0).flatten(1)
        made = codec.decode(quantised).float()
        made = made * mask.repeat_interleave(codec.hop, dim=1)
        committed = (distance * mask).sum() / mask.sum().clamp(min=1)
        error = self.waveform * (made - sound).abs().mean() + self.commitment * committed
        for window in self.windows:
            there, here = self._log_mel(sound, window), self._log_mel(made, window)
            error = error + self.spectrum * (
                (here - there).abs().mean() + (here - there).pow(2).mean()
            ) / len(self.windows)
        # The last scale is judged, where a record is real.
        steps = torch.arange(there.shape[1], device=mask.device) * (self.windows[-1] // 4) // codec.hop
        real = mask[:, steps.clamp(max=mask.shape[1] - 1)][..., None].expand(there.shape)
        count = real.sum(dim=1, keepdim=True).clamp(min=1)
        mean = ((there * real).sum(dim=1, keepdim=True) / count).expand(there.shape)
        prediction = here[real]
        return {
            "error": error,
            "prediction": prediction,
            "target": there[real],
            "reference": mean[real],
            "entry_weight": torch.ones_like(prediction.detach()),
            "loss_weight": real.sum(),
        }

    def _log_mel(self, samples: Tensor, window: int) -> Tensor:
        """Log of the magnitude in mel bands, ``[B, windows, bands]``."""
        hann = getattr(self, f"window_{window}").to(samples.dtype)
        padded = F.pad(samples, (window // 2, window // 2))
        spectrum = torch.stft(padded, window, window // 4, window=hann, center=False, return_complex=True)
        power = spectrum.real.pow(2) + spectrum.imag.pow(2)
        bands = getattr(self, f"filters_{window}").to(samples.dtype) @ power
        return 0.5 * bands.clamp(min=_FLOOR).log().transpose(1, 2)

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the weighted losses."""
        return outputs["error"]

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``values`` ``[B, T, hop]``, or ``mean`` ``[N]`` of the judged spectrum."""
        if "values" in outputs:
            return {"values": outputs["values"].float()}
        return {"mean": outputs["prediction"].float()}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        return {
            "rate": self.rate,
            "windows": self.windows,
            "waveform": self.waveform,
            "spectrum": self.spectrum,
            "commitment": self.commitment,
            "unquantised": self.unquantised,
        }
