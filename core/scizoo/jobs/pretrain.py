"""``scizoo pretrain RECIPE``: a checkpoint from an unlabelled corpus, beside what takes no learning."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.checkpoints.card import Figure, TrainingData
from scizoo.checkpoints.format import save_checkpoint
from scizoo.checkpoints.manifest import portable
from scizoo.config import to_plain
from scizoo.data.records import Dataset, write_rejected
from scizoo.data.splits import PretrainingPart
from scizoo.data.task import open_dataset
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.evaluation.corpora import sketch_corpus
from scizoo.evaluation.likelihood import bits_per
from scizoo.evaluation.ngram import NGramModel
from scizoo.files import cache_dir, write_json
from scizoo.jobs.cards import make_card, reference_inputs
from scizoo.models.objectives import CausalLM
from scizoo.training.generative import once, record_likelihood, record_rows
from scizoo.training.selfsupervised import Pretrained, pretrain, token_rows

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

_NGRAM_TOKENS = 5_000_000  # enough to fill the tables of a short context; more only costs memory
_MEASURED = 500  # validation records read from left to right for bits per unit


def run(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Pre-train, measure, and write the checkpoint.

    Parameters
    ----------
    cfg : DictConfig
        A composed config.
    run_dir : Path

    Returns
    -------
    dict
        The validation metrics and the checkpoint's path.
    """
    plain = to_plain(cfg)
    dataset = open_dataset(plain)
    trained = pretrain(plain, dataset, run_dir=run_dir, cache=cache_dir() / "tokens")
    if trained.encoded.rejected:
        write_rejected(run_dir / "rejected.csv", trained.encoded.rejected)
    models = fit_ngrams(trained, [int(order) for order in plain["evaluation"].get("ngram_orders") or []])
    floors = ngram_floors(trained, models)
    per_unit = unit_figures(trained, models)
    metrics = {key: value for key, value in trained.metrics.items() if key.startswith("validation/")}
    write_json(
        run_dir / "metrics.json",
        {
            "metrics": metrics,
            "ngram_bits_per_token": floors,
            **per_unit,
            "seconds": trained.seconds,
            "steps": trained.steps,
        },
    )
    figures = pretraining_figures(trained, dataset, floors, int(plain["seed"]), per_unit)
    recipe = plain["recipe"]
    path = save_checkpoint(
        run_dir / "checkpoint",
        backbone=trained.backbone,
        head=trained.objective,
        tokenizer=trained.parts.tokenizer,
        context=trained.parts.context,
        augment=plain.get("augment"),
        card=make_card(
            plain,
            name=str(recipe["name"]),
            summary=str(recipe["summary"]),
            training_data=[training_data(dataset, len(trained.split.train))],
            command=(run_dir / "command.txt").read_text(encoding="utf-8").strip(),
        ),
        domain=str(recipe["name"]).partition("/")[0],
        sketch=sketch_corpus(plain.get("audit"), PretrainingPart(dataset, plain.get("split"))),
        reference_inputs=reference_inputs(str(recipe["name"]).partition("/")[0], dataset),
        figures=figures,
        config=plain,
        data={
            "name": dataset.name,
            "fingerprint": dataset.fingerprint(),
            "records": len(trained.split.train),
        },
        seeds=[int(plain["seed"])],
        dtype=recipe.get("dtype"),
    )
    for order, bits in floors.items():
        log.info("%s-gram: %.3f bits a token on validation", order, bits)
    log.info("validation: %s", ", ".join(f"{key}={value:.4f}" for key, value in sorted(metrics.items())))
    return {**metrics, "checkpoint": str(path), "objective": metrics.get("validation/loss")}


def fit_ngrams(trained: Pretrained, orders: list[int]) -> dict[str, NGramModel]:
    """Count the n-grams of the training tokens, once for all orders."""
    if not orders or not isinstance(trained.parts.tokenizer, TokenTokenizer):
        return {}
    train = token_rows(trained.encoded, trained.split.train, most_tokens=_NGRAM_TOKENS)
    whole = NGramModel(max(orders), trained.parts.tokenizer.vocab_size).fit(train)
    return {str(order): whole.truncated(order) for order in orders}


def ngram_floors(trained: Pretrained, models: Mapping[str, NGramModel]) -> dict[str, float]:
    """Measure n-gram models on the validation tokens, in bits a token."""
    if not models:
        return {}
    held_out = token_rows(trained.encoded, trained.split.validation, most_tokens=_NGRAM_TOKENS // 10)
    return {order: model.bits_per_token(held_out) for order, model in models.items()}


def unit_figures(trained: Pretrained, models: Mapping[str, NGramModel]) -> dict[str, dict[str, float]]:
    """Measure a causal model and the n-grams in bits per unit of the input, where the tokenizer names one.

    Bits per token depend on the tokenizer; bits per byte, or per base, do not. Whole validation records are
    read from left to right, each token once.

    Returns
    -------
    dict
        ``bits_per_UNIT``: the figure of the ``model`` and of each n-gram by its order; else nothing.
    """
    tokenizer, objective, rows = trained.parts.tokenizer, trained.objective, trained.split.validation
    if not isinstance(objective, CausalLM) or not isinstance(tokenizer, TokenTokenizer) or not len(rows):
        return {}
    if tokenizer.unit is None:
        return {}
    if len(rows) > _MEASURED:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MEASURED, replace=False))
    encoded = once(trained.encoded)
    pieces = [ids for _, ids in record_rows(encoded, rows)]
    size = sum(tokenizer.size(tokenizer.decode(ids.tolist())) for ids in pieces)
    trained.backbone.eval()
    sums, _ = record_likelihood(trained.backbone, objective, encoded, rows)
    found = {"model": float(-sums.sum() / math.log(2) / size)}
    starts = np.cumsum([0, *(len(ids) for ids in pieces[:-1])])
    for order, model in models.items():
        scores = model.log_likelihood(pieces)
        scores[starts] = 0.0  # what marks the beginning is given
        found[order] = float(-scores.sum() / math.log(2) / size)
    return {bits_per(tokenizer.unit): found}


def pretraining_figures(
    trained: Pretrained,
    dataset: Dataset,
    floors: dict[str, float],
    seed: int,
    per_unit: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Figure]:
    """Give the card's figures on validation, each beside what takes no learning where there is such a thing.

    Language models: bits a token, beside the best n-gram where it sees as much. Masked values and images:
    the error, beside that of the mean of what is visible. Contrastive: how often a view finds its other,
    beside guessing.
    """
    found = {key.removeprefix("validation/"): value for key, value in trained.metrics.items()}
    kind, name = trained.objective.kind, "loss"
    value, baseline, baseline_name = found.get("loss", math.nan), None, None
    if kind == "language":
        # An n-gram reads from the left alone; only a causal model is compared with it.
        causal = getattr(trained.objective, "causal", False)
        best = min(floors, key=lambda order: floors[order]) if floors and causal else None
        name, value = "bits_per_token", value / math.log(2)
        baseline, baseline_name = (None, None) if best is None else (floors[best], f"{best}-gram")
    elif kind == "forecast":
        name = "quantile_loss"
    elif kind == "reconstruction":
        name, value, baseline = "rmse", found.get("rmse", math.nan), found.get("reference_rmse")
        baseline_name = "mean of the visible values"
    elif kind == "contrastive":
        name, value, baseline = "accuracy", found.get("accuracy", math.nan), found.get("chance")
        baseline_name = "guessing"
    if not math.isfinite(value):
        return []
    rows = [(name, value, baseline, baseline_name)]
    for unit, measured in (per_unit or {}).items():
        rivals = {order: bits for order, bits in measured.items() if order != "model"}
        best = min(rivals, key=lambda order: rivals[order], default=None)
        named = (None, None) if best is None else (rivals[best], f"{best}-gram")
        rows.append((unit, measured["model"], *named))
    return [
        Figure(
            metric=metric,
            value=number,
            data=portable(dataset.name),
            split=f"{trained.split.method}; validation part",
            seeds=(seed,),
            records=len(trained.split.validation),
            baseline=rival,
            baseline_name=rival_name if rival is not None else None,
        )
        for metric, number, rival, rival_name in rows
    ]


def training_data(dataset: Dataset, records: int) -> TrainingData:
    """Describe a dataset for the card."""
    return TrainingData(
        name=portable(dataset.name),
        licence=dataset.licence.name,
        citation=dataset.citation,
        records=records,
    )
