"""Continued training of a causal language model on a task's own records, and its likelihood of others."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scizoo.checkpoints.adapters import has_adapters
from scizoo.checkpoints.format import Checkpoint
from scizoo.data.batching import PadCollator
from scizoo.data.encoding import EncodedDataset
from scizoo.data.splits import Split
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError
from scizoo.models.backbones import Backbone
from scizoo.models.objectives import CausalLM, build_objective
from scizoo.models.scoring import score_tokens
from scizoo.training.adapt import AdaptReport, apply_adapt, merge_lora
from scizoo.training.build import ModelParts
from scizoo.training.module import ScizooModule
from scizoo.training.supervised import data_module
from scizoo.training.trainer import build_trainer, fit, monitored_metric, resolve_precision

log = logging.getLogger(__name__)

_CAUSAL = "scizoo.models.objectives.CausalLM"


@dataclass
class FittedLanguage:
    """A language model after training, and how it came to be.

    Parameters
    ----------
    backbone : Backbone
    objective : CausalLM
    adapt : AdaptReport
    seconds : float
        Wall-clock time of the fit.
    steps : int
        Optimizer steps taken.
    validation : float or None
        The loss of the weights that were kept, in nats per token.
    precision : str
        As Lightning names it.
    """

    backbone: Backbone
    objective: CausalLM
    adapt: AdaptReport
    seconds: float
    steps: int
    validation: float | None
    precision: str


def check_generator(checkpoint: Checkpoint) -> tuple[CausalLM, TokenTokenizer]:
    """Give the objective and tokenizer of a checkpoint that can write records.

    Raises
    ------
    ConfigError
        When it is no causal language model, naming what it is.
    """
    head, tokenizer = checkpoint.head, checkpoint.tokenizer
    if isinstance(head, CausalLM) and isinstance(tokenizer, TokenTokenizer):
        return head, tokenizer
    what = "fills in masked tokens" if checkpoint.kind == "language" else f"is of kind {checkpoint.kind}"
    raise ConfigError(
        f"{checkpoint.manifest.name} cannot generate: it {what} and does not continue.",
        expected="a checkpoint of a causal language model",
        remedy="name another with checkpoint=..., or pre-train one (objective=clm with a decoder).",
    )


def build_language(cfg: Mapping[str, Any], parts: ModelParts, *, fresh: bool) -> CausalLM:
    """Build the objective that a task's language model is trained under.

    Parameters
    ----------
    cfg : mapping
        A composed config; ``head`` describes the objective of a model without a checkpoint.
    parts : ModelParts
    fresh : bool
        Whether it starts from initial weights.

    Raises
    ------
    ConfigError
        When the model cannot generate.
    """
    if parts.checkpoint is not None:
        head, _ = check_generator(parts.checkpoint)
        if not fresh:
            return head
        made = type(head)(head.hidden_size, head.outputs, **head.settings())
        made.bind(parts.backbone)
        return made
    if not isinstance(parts.tokenizer, TokenTokenizer):
        name = type(parts.tokenizer).__name__
        raise ConfigError(f"tokenizer: {name} gives no tokens to write.", expected="a token tokenizer")
    objective = build_objective(cfg.get("head") or {"_target_": _CAUSAL}, parts.backbone, parts.tokenizer)
    if not isinstance(objective, CausalLM):
        raise ConfigError(
            f"objective: {type(objective).__name__} cannot write records.", remedy="choose objective=clm."
        )
    return objective


def fit_language(
    cfg: Mapping[str, Any],
    parts: ModelParts,
    encoded: EncodedDataset,
    split: Split,
    *,
    run_dir: Path,
    seed: int = 0,
    title: str = "fine-tuning",
) -> FittedLanguage:
    """Train a causal language model on the training part, as much of it as ``adapt`` says.

    Parameters
    ----------
    cfg : mapping
        A composed config; read are ``adapt``, ``head``, ``batching``, ``optimizer``, ``schedule``,
        ``trainer``, ``precision``, ``logger``, ``callbacks`` and ``task``.
    parts : ModelParts
        Its backbone is trained in place.
    encoded : EncodedDataset
        Every record of the task.
    split : Split
    run_dir : Path
        Checkpoints and logs go here.
    seed : int
        Of weights, order and dropout.
    title : str
        For the progress display.

    Returns
    -------
    FittedLanguage
        With the weights that were best on validation; LoRA is merged unless ``adapt.merge`` is false.

    Raises
    ------
    ConfigError
        When the model cannot generate, or ``adapt`` trains nothing of it.
    TrainingError
        When the loss diverges.
    """
    start = time.monotonic()
    mode = str(cfg["adapt"].get("mode", "full"))
    if mode == "probe":
        raise ConfigError(
            "adapt=probe trains no part of a language model that writes.", expected="full, lora or scratch"
        )
    torch.manual_seed(seed)
    objective = build_language(cfg, parts, fresh=mode == "scratch")
    report = apply_adapt(parts.backbone, cfg["adapt"], seed=seed)
    objective.bind(parts.backbone)
    objective.requires_grad_(True)
    log.info("%s", report)
    steps, best = 0, None
    if mode != "none":
        module = ScizooModule(
            parts.backbone, objective, optimizer=cfg["optimizer"], schedule=cfg["schedule"], seed=seed
        )
        trainer = build_trainer(cfg, run_dir, monitor=monitored_metric(cfg), title=title)
        fit(trainer, module, data_module(cfg, parts, encoded, None, split, seed=seed))
        steps, best = trainer.global_step, (module.best or {}).get("value")
    if has_adapters(parts.backbone) and cfg["adapt"].get("merge", True):
        merge_lora(parts.backbone)
    objective.bind(parts.backbone)
    accelerator = str((cfg.get("trainer") or {}).get("accelerator") or "auto")
    return FittedLanguage(
        backbone=parts.backbone.eval(),
        objective=objective.eval(),
        adapt=report,
        seconds=time.monotonic() - start,
        steps=steps,
        validation=best,
        precision=resolve_precision(cfg.get("precision"), accelerator),
    )


def inference_device(cfg: Mapping[str, Any]) -> torch.device:
    """Give the device on which a fitted model writes: the GPU that it was trained on, else the CPU."""
    accelerator = str((cfg.get("trainer") or {}).get("accelerator") or "auto")
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


def once(encoded: EncodedDataset) -> EncodedDataset:
    """Cut records so that each token is seen once: windows that overlap would count some twice."""
    return encoded.with_context(replace(encoded.context, stride=None, last_window="partial"))


def record_rows(encoded: EncodedDataset, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the windows of some records, first view, as (record, ids with special tokens)."""
    windows = encoded.windows_of(rows)
    for window in windows[encoded.view_index[windows] == 0].tolist():
        yield int(encoded.record_index[window]), encoded[window][encoded.main_input]


def record_likelihood(
    backbone: Backbone,
    objective: CausalLM,
    encoded: EncodedDataset,
    rows: np.ndarray,
    *,
    given: np.ndarray | None = None,
    batch_size: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood of whole records under a causal language model.

    Parameters
    ----------
    backbone, objective : Backbone, CausalLM
        Both in evaluation mode.
    encoded : EncodedDataset
        As :func:`once` gives it.
    rows : ndarray
        Positions of the records.
    given : ndarray of int, shape (len(rows),), optional
        How many tokens of each record, from its beginning, are given and not scored.
    batch_size : int

    Returns
    -------
    tuple of ndarray, each of shape (len(rows),)
        The sum over the tokens of each record in nats, its end included; and how many tokens that is.
    """
    device = next(backbone.parameters()).device
    place = {int(row): number for number, row in enumerate(rows)}
    left = np.zeros(len(rows), dtype=np.int64) if given is None else given.copy()
    pieces: list[tuple[int, np.ndarray, int]] = []
    for record, ids in record_rows(encoded, rows):
        skipped = min(int(left[place[record]]), len(ids) - 1)
        left[place[record]] -= skipped
        pieces.append((record, ids, skipped))
    pieces.sort(key=lambda piece: len(piece[1]))
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    main = encoded.main_input
    collate = PadCollator({main: encoded.pad_values[main]})
    for start in range(0, len(pieces), batch_size):
        some = pieces[start : start + batch_size]
        batch = collate([{main: ids} for _, ids, _ in some])
        tokens = score_tokens(backbone, objective, {key: value.to(device) for key, value in batch.items()})
        hidden = torch.tensor([skip for _, _, skip in some], device=device)
        shown = torch.arange(tokens.shape[1], device=device)[None] <= hidden[:, None]
        tokens = tokens.masked_fill(shown, torch.nan)
        known = (~tokens.isnan()).sum(dim=1).cpu().numpy()
        total = tokens.double().nansum(dim=1).cpu().numpy()
        for (record, _, _), value, count in zip(some, total, known, strict=True):
            sums[place[record]] += value
            counts[place[record]] += count
    return sums, counts
