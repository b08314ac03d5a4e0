"""The architecture of EnCodec (Defossez et al. 2022, arXiv 2210.13438), from transformers, as a backbone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Hidden
from scizoo.models.plugin_backbone import PluginBackbone

_QUIET = 0.05  # of the decoder's last convolution, which begins about as loud as a sound of music
_REVIVED = 0.2  # share of a fair part below which a code counts as unused


class EncodecBackbone(PluginBackbone):
    """A small EnCodec: convolutions and an LSTM to latent frames, residual codebooks, and the way back.

    Hidden states are the latent frames before quantisation. The library's model cannot learn its codebooks;
    here they follow the latents as moving averages (van den Oord et al. 2017, arXiv 1711.00937), begin with
    latents of the first batch, and unused codes are moved to latents that are coded worst.

    Parameters
    ----------
    books, size : int
        Codebooks, and codes of each.
    dimension : int
        Of a latent frame.
    filters : int
        Channels of the first convolution; they double with each reduction.
    ratios : sequence of int
        Reductions of the rate; their product is the hop.
    residual_layers, lstm_layers : int
    rate : int
        Frames a second of the sound.
    decay : float
        Of the moving averages.

    Raises
    ------
    ConfigError
        When a number is out of range.
    """

    input_key = "values"
    causal = True

    def __init__(
        self,
        books: int = 4,
        size: int = 256,
        dimension: int = 64,
        filters: int = 8,
        ratios: Sequence[int] = (2, 4, 5, 8),
        residual_layers: int = 1,
        lstm_layers: int = 1,
        rate: int = 16_000,
        decay: float = 0.97,
    ):
        super().__init__()
        from transformers import EncodecConfig, EncodecModel

        numbers = (books, size, dimension, filters, residual_layers, lstm_layers, rate, *ratios)
        if min(numbers) < 1 or not 0 < decay < 1 or not ratios:
            raise ConfigError(
                f"backbone: books={books}, size={size}, dimension={dimension}, filters={filters}, "
                f"ratios={ratios}, decay={decay} do not fit.",
                expected="whole numbers from 1, and 0 < decay < 1",
            )
        self._settings = {
            "books": int(books),
            "size": int(size),
            "dimension": int(dimension),
            "filters": int(filters),
            "ratios": [int(one) for one in ratios],
            "residual_layers": int(residual_layers),
            "lstm_layers": int(lstm_layers),
            "rate": int(rate),
            "decay": float(decay),
        }
        self.books, self.size, self.decay, self.rate = int(books), int(size), float(decay), int(rate)
        self.hidden_size, self.hop = int(dimension), math.prod(int(one) for one in ratios)
        self.features = self.hop
        frames = math.ceil(rate / self.hop)
        bits = max(1, math.ceil(math.log2(size)))
        config = EncodecConfig(
            sampling_rate=rate,
            audio_channels=1,
            hidden_size=dimension,
            num_filters=filters,
            num_residual_layers=residual_layers,
            upsampling_ratios=list(ratios),
            num_lstm_layers=lstm_layers,
            codebook_size=size,
            target_bandwidths=[books * frames * bits / 1000],
        )
        self.model: Any = EncodecModel(config)
        if len(self.model.quantizer.layers) != books:
            raise ConfigError(
                f"backbone: transformers makes {len(self.model.quantizer.layers)} codebooks of {books}."
            )
        _begin_at_strength(self.model)
        layers: Any = self.model.quantizer.layers
        for layer in layers:
            layer.codebook.inited.zero_()

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this backbone."""
        return dict(self._settings)

    def forward(self, batch: Mapping[str, Tensor]) -> Hidden:
        """Compute latent frames of ``values`` ``[B, T, hop]``, the samples frame by frame.

        Returns
        -------
        Hidden
            ``[B, T, D]``.
        """
        values = batch.get("values")
        if values is None or values.ndim != 3 or values.shape[2] != self.hop:
            shape = None if values is None else list(values.shape)
            raise DataError(
                f"a batch of the shape {shape} holds no frames of {self.hop} samples.",
                expected=f"values [records, frames, {self.hop}], as the tokenizer music/wave gives them",
            )
        latent = self.model.encoder(values.flatten(1)[:, None]).transpose(1, 2)
        mask = batch.get("attention_mask")
        real = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        return Hidden(latent, real if mask is None else mask.bool())

    def decode(self, latent: Tensor) -> Tensor:
        """Turn latent frames ``[B, T, D]`` into samples ``[B, T * hop]``."""
        return self.model.decoder(latent.transpose(1, 2))[:, 0, : latent.shape[1] * self.hop]

    def quantise(
        self, latent: Tensor, books: int | None = None, learn: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Code latent frames.

        Parameters
        ----------
        latent : Tensor
            ``[B, T, D]``.
        books : int, optional
            How many codebooks to use; all by default.
        learn : Tensor, optional
            ``[B, T]`` bool: the frames that the codebooks learn from.

        Returns
        -------
        quantised : Tensor
            ``[B, T, D]``; its gradient goes straight through to the latents.
        codes : Tensor
            ``[B, T, books]``.
        commitment : Tensor
            Mean squared distance to the codes, over books, ``[B, T]``.
        """
        layers = self.model.quantizer.layers[:books]
        latent = latent.to(layers[0].codebook.embed.dtype)  # it may come in half precision
        residual, total = latent, torch.zeros_like(latent)
        codes, distance = [], latent.new_zeros(latent.shape[:2])
        for layer in layers:
            book = layer.codebook
            if learn is not None and not bool(book.inited):
                self._begin(book, residual.detach()[learn])
            index = book.encode(residual.detach())
            found = book.decode(index)
            if learn is not None:
                self._follow(book, residual.detach()[learn], index[learn])
            distance = distance + (residual - found).pow(2).mean(dim=-1)
            total = total + found
            residual = residual - found
            codes.append(index)
        straight = latent + (total - latent).detach()
        return straight, torch.stack(codes, dim=-1), distance / len(layers)

    def from_codes(self, codes: Tensor) -> Tensor:
        """Give the latent frames ``[B, T, D]`` of codes ``[B, T, books]``, also of the first few books."""
        return self.model.quantizer.decode(codes.permute(2, 0, 1)).transpose(1, 2)

    @torch.no_grad()
    def _begin(self, book: Any, vectors: Tensor) -> None:
        """Begin with latents, spread evenly over the batch."""
        places = torch.linspace(0, len(vectors) - 1, self.size, device=vectors.device).round().long()
        # Equal codes would split what they share; a little noise that repeats tells them apart.
        noise = torch.randn(self.size, vectors.shape[1], generator=torch.Generator().manual_seed(0))
        book.embed.copy_(vectors[places] + 0.01 * vectors.std() * noise.to(vectors))
        fair = len(vectors) / self.size
        book.cluster_size.fill_(fair)
        book.embed_avg.copy_(book.embed * fair)
        book.inited.fill_(1.0)

    @torch.no_grad()
    def _follow(self, book: Any, vectors: Tensor, index: Tensor) -> None:
        """Move each code towards the mean of the latents that it stands for."""
        count = torch.bincount(index, minlength=self.size).to(vectors.dtype)
        sums = torch.zeros_like(book.embed_avg).index_add_(0, index, vectors)
        book.cluster_size.mul_(self.decay).add_(count, alpha=1 - self.decay)
        book.embed_avg.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        book.embed.copy_(book.embed_avg / book.cluster_size.clamp(min=1e-4)[:, None])
        fair = len(vectors) / self.size
        unused = torch.nonzero(book.cluster_size < _REVIVED * fair)[:, 0]
        if len(unused):
            error = (vectors - book.embed[index]).pow(2).sum(dim=1)
            # From the worse half, evenly: the very worst are much alike.
            half = torch.argsort(error, descending=True, stable=True)[: max(1, len(error) // 2)]
            unused = unused[: len(half)]
            worst = half[torch.linspace(0, len(half) - 1, len(unused), device=half.device).long()]
            book.embed[unused] = vectors[worst]
            book.embed_avg[unused] = vectors[worst] * fair
            book.cluster_size[unused] = fair

    @torch.inference_mode()
    def code(self, samples: np.ndarray) -> np.ndarray:
        """Code samples at the codec's rate; int64 (frames, books)."""
        frames = -(-len(samples) // self.hop)
        padded = np.pad(np.asarray(samples, dtype=np.float32), (0, frames * self.hop - len(samples)))
        own = next(self.parameters())
        values = torch.from_numpy(padded.reshape(1, frames, self.hop)).to(own)
        return self.quantise(self({"values": values}).states)[1][0].cpu().numpy()

    @torch.inference_mode()
    def sound(self, codes: np.ndarray) -> np.ndarray:
        """Give the samples of codes (frames, books); float32 (frames * hop,)."""
        own = next(self.parameters())
        given = torch.from_numpy(np.array(codes, dtype=np.int64))[None].to(own.device)
        return self.decode(self.from_codes(given))[0].float().cpu().numpy()


@torch.no_grad()
def _begin_at_strength(model: Any) -> None:
    """Give convolutions weights under which a sound keeps its strength through all layers (He et al. 2015).

    Those of torch weaken it layer by layer, so that latents would be all alike, and codes with them. What
    residual connections add up leaves the decoder far too loud: a network that first has to become quiet
    loses what tells its latents apart on the way. Its last layer begins quietly.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            weight = module.weight
            fan = (
                weight[0].numel()
                if isinstance(module, torch.nn.Conv1d)
                else weight.shape[0] * weight.shape[2]
            )
            if isinstance(module, torch.nn.ConvTranspose1d):
                fan = fan // module.stride[0]
            module.weight = torch.randn_like(weight) * math.sqrt(1.5 / max(1, fan))
            if module.bias is not None:
                module.bias.zero_()
    last = [module for module in model.decoder.modules() if isinstance(module, torch.nn.Conv1d)][-1]
    last.weight = last.weight * _QUIET
