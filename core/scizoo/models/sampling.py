"""Many records from a causal language model at once, each with its own random numbers and its likelihood."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from scizoo.config import instantiate
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo.models.backbones import Backbone
from scizoo.models.generation import LogitsProcessor, generate
from scizoo.models.objectives import CausalLM


class Constraint(ABC):
    """What written records must keep to; a field fills it in."""

    @abstractmethod
    def processor(self, tokenizer: TokenTokenizer) -> LogitsProcessor | None:
        """Give what changes next-token scores so that no forbidden token is written; None changes nothing."""

    def accepts(self, value: Any) -> bool:
        """Tell whether a written record, decoded, keeps to what its tokens alone cannot show."""
        return True


@dataclass(frozen=True)
class Sampling:
    """How records are drawn: the ``samples`` group of a config.

    Parameters
    ----------
    count : int
        Records to draw; of each prompt, where there are prompts.
    temperature : float
        0 takes the likeliest token each time; higher is more varied.
    top_p : float, optional
        Draw from the likeliest tokens that together reach this probability.
    top_k : int, optional
        Draw from this many likeliest tokens only.
    max_tokens : int, optional
        New tokens at most; None: as many as the context holds.
    prompt_tokens : int, optional
        How many tokens of a record serve as its prompt; None: all.
    batch_size : int
        Records written at once. It does not change them.
    constraint : mapping, optional
        Describes a :class:`Constraint`.
    attempts : int
        How often a record that the constraint refuses is written, at most; the last one is kept.

    Raises
    ------
    ConfigError
        When a number is out of range.
    """

    count: int = 1000
    temperature: float = 1.0
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    prompt_tokens: int | None = None
    batch_size: int = 64
    constraint: Mapping[str, Any] | None = None
    attempts: int = 1

    def __post_init__(self) -> None:
        for key in ("count", "batch_size", "attempts", "max_tokens", "top_k", "prompt_tokens"):
            value = getattr(self, key)
            optional = key in ("max_tokens", "top_k", "prompt_tokens")
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (value is None and optional) and not (whole and value >= 1):
                raise ConfigError(f"samples.{key}={value}", expected="a whole number from 1")
        for key, low, high in (("temperature", 0.0, np.inf), ("top_p", np.nextafter(0, 1), 1.0)):
            value = getattr(self, key)
            known = isinstance(value, int | float) and not isinstance(value, bool)
            if not (value is None and key == "top_p") and not (known and low <= value <= high):
                words = "a number from 0" if key == "temperature" else "a number above 0 and up to 1"
                raise ConfigError(f"samples.{key}={value}", expected=words)

    def constrained(self) -> Constraint | None:
        """Make the constraint, where there is one.

        Raises
        ------
        ConfigError
            When what is described is none.
        """
        if not self.constraint:
            return None
        made = instantiate(dict(self.constraint))
        if not isinstance(made, Constraint):
            raise ConfigError(
                f"samples.constraint: {self.constraint.get('_target_')} gives no Constraint.",
                expected="a subclass of scizoo.models.sampling.Constraint",
            )
        return made

    @classmethod
    def from_config(cls, settings: Any) -> Sampling:
        """Read the ``samples`` group of a plain config.

        Raises
        ------
        ConfigError
            When a key is unknown or a value is out of range.
        """
        given = dict(settings or {})
        for key in given:
            if key not in cls.__dataclass_fields__:
                raise ConfigError(f"samples.{key} is unknown: {did_you_mean(key, cls.__dataclass_fields__)}")
        return cls(**given)


@dataclass(frozen=True)
class Drawn:
    """Records as tokens.

    Parameters
    ----------
    rows : list of ndarray of int64
        The tokens of each record, its prompt included, special tokens left out.
    finished : ndarray of bool, shape (N,)
        Whether the record ended by itself.
    log_likelihood : ndarray of float64, shape (N,)
        Of what was written (the end included, the prompt not), under the model at temperature 1, in nats.
    tokens : ndarray of int64, shape (N,)
        How many tokens that is.
    prompts : ndarray of int64, shape (N,)
        Which prompt each record continues; 0 where there is none.
    """

    rows: list[np.ndarray]
    finished: np.ndarray
    log_likelihood: np.ndarray
    tokens: np.ndarray
    prompts: np.ndarray

    @property
    def per_token(self) -> np.ndarray:
        """Log-likelihood per token written."""
        return self.log_likelihood / np.maximum(self.tokens, 1)


def uniforms(seed: int, numbers: Sequence[int], width: int) -> np.ndarray:
    """Random numbers in [0, 1) of each sample, a function of the seed and the sample's number alone.

    Returns
    -------
    ndarray of float64, shape (len(numbers), width)
    """
    return np.stack([np.random.default_rng([seed, int(number)]).random(width) for number in numbers])


def new_tokens(sampling: Sampling, context: Context, backbone: Backbone, prompt: int) -> int:
    """How many tokens may be written after a prompt of some tokens, special ones included.

    Raises
    ------
    DataError
        When the prompt fills the context, or more is asked for than it holds.
    """
    longest = min(context.max_length, backbone.max_length or context.max_length)
    room = longest - prompt
    if room < 1 or (sampling.max_tokens or 0) > room:
        wanted = sampling.max_tokens or 1
        raise DataError(
            f"a prompt of {prompt} tokens and {wanted} new ones do not fit this model's {longest}.",
            expected=f"at most {longest} tokens in all, special ones included",
            remedy="lower samples.max_tokens, or shorten the prompts (samples.prompt_tokens).",
        )
    return sampling.max_tokens or room


def draw(
    backbone: Backbone,
    head: CausalLM,
    tokenizer: TokenTokenizer,
    context: Context,
    sampling: Sampling,
    *,
    starts: Sequence[np.ndarray] = (),
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Drawn:
    """Let a causal language model write records.

    Parameters
    ----------
    backbone, head : Backbone, CausalLM
        Both in evaluation mode.
    tokenizer : TokenTokenizer
    context : Context
        Says whether records begin with CLS and end with SEP.
    sampling : Sampling
    starts : sequence of ndarray of int, optional
        What is continued, as :func:`starts_of` gives it; without any, records are written from their
        beginning.
    seed : int
        The same seed gives the same records, however many are drawn and in batches of whatever size.
    on_progress : callable, optional
        Told how many of how many are done.

    Returns
    -------
    Drawn

    Raises
    ------
    ConfigError
        When there is no prompt and the model's records do not begin with CLS.
    DataError
        When a prompt does not fit.
    """
    if not len(starts) and not context.add_cls:
        raise ConfigError(
            "this model's records begin without a mark, so that it can write only from a prompt.",
            remedy="give prompt=..., or data.path=FILE with records to continue.",
        )
    starts = list(starts) or [np.array([tokenizer.cls_id], dtype=np.int64)]
    total = len(starts) * sampling.count
    made: dict[int, tuple[np.ndarray, bool, float, int]] = {}
    constraint = sampling.constrained()
    processor = None if constraint is None else constraint.processor(tokenizer)
    # Prompts of one length share batches, so that none is padded.
    order = sorted(range(total), key=lambda number: len(starts[number // sampling.count]))
    for attempt in range(sampling.attempts):
        at = 0
        while at < len(order):
            length = len(starts[order[at] // sampling.count])
            some = [
                number
                for number in order[at : at + sampling.batch_size]
                if len(starts[number // sampling.count]) == length
            ]
            most = new_tokens(sampling, context, backbone, length)
            given = np.stack([starts[number // sampling.count] for number in some])
            numbers = uniforms(seed, [number + attempt * total for number in some], most)
            written = _batch(backbone, head, tokenizer, context, sampling, given, numbers, processor)
            made.update(zip(some, written, strict=True))
            at += len(some)
            if on_progress is not None and not attempt:
                on_progress(at, total)
        if constraint is None:
            break
        order = [number for number in order if not _accepted(constraint, tokenizer, made[number][0])]
    ordered = [made[number] for number in range(total)]
    return Drawn(
        rows=[one[0] for one in ordered],
        finished=np.array([one[1] for one in ordered], dtype=bool),
        log_likelihood=np.array([one[2] for one in ordered]),
        tokens=np.array([one[3] for one in ordered], dtype=np.int64),
        prompts=np.arange(total) // sampling.count,
    )


def starts_of(
    tokenizer: TokenTokenizer, context: Context, prompts: Sequence[Any], sampling: Sampling
) -> list[np.ndarray]:
    """Encode prompts as what :func:`draw` continues: as many tokens as are asked for, after the CLS token.

    Raises
    ------
    DataError
        When a prompt cannot be encoded.
    """
    rows: Iterable[np.ndarray] = tokenizer.encode(list(prompts))["input_ids"] if len(prompts) else ()
    first = [tokenizer.cls_id] if context.add_cls else []
    return [
        np.concatenate([np.array(first, dtype=np.int64), np.asarray(row)[: sampling.prompt_tokens]])
        for row in rows
    ]


def _accepted(constraint: Constraint, tokenizer: TokenTokenizer, row: np.ndarray) -> bool:
    value = decode(tokenizer, row)
    return value is not None and constraint.accepts(value)


@torch.inference_mode()
def _batch(
    backbone: Backbone,
    head: CausalLM,
    tokenizer: TokenTokenizer,
    context: Context,
    sampling: Sampling,
    given: np.ndarray,
    numbers: np.ndarray,
    processor: LogitsProcessor | None,
) -> list[tuple[np.ndarray, bool, float, int]]:
    """Write one batch (B, P): of each row its tokens, whether it ended, its likelihood, tokens written."""
    device = next(backbone.parameters()).device
    special = set(range(len(tokenizer.SPECIAL)))
    ends = tokenizer.sep_id if context.add_sep else None
    ids = generate(
        backbone,
        head,
        torch.from_numpy(given).to(device),
        max_new_tokens=numbers.shape[1],
        temperature=float(sampling.temperature),
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        eos_id=ends,
        pad_id=tokenizer.pad_id,
        forbidden=sorted(special - {ends}),
        draws=torch.from_numpy(numbers),
        logits_processor=processor,
    )
    real = ids != tokenizer.pad_id  # padding is never written, so that it can only follow an end
    scores = head.token_log_likelihood(
        backbone({"input_ids": ids, "attention_mask": real.long()}),
        {"input_ids": ids, "attention_mask": real.long()},
    )
    scores = scores[:, given.shape[1] :].double()
    sums, counts = scores.nansum(dim=1).cpu().numpy(), (~scores.isnan()).sum(dim=1).cpu().numpy()
    made = []
    for row, total, count in zip(ids.cpu().numpy(), sums, counts, strict=True):
        written = row[given.shape[1] :]
        finished = ends is not None and bool((written == ends).any())
        made.append((row[row >= len(special)], finished, float(total), int(count)))
    return made


def decode(tokenizer: TokenTokenizer, row: np.ndarray) -> Any | None:
    """Give back the field's object that a row of tokens stands for; None where there is none."""
    if not len(row):
        return None
    try:
        return tokenizer.decode(row.tolist())
    except (DataError, ValueError):
        return None
