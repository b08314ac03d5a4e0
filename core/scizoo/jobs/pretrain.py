"""``scizoo pretrain RECIPE``: a checkpoint from an unlabelled corpus, beside what takes no learning."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scizoo.checkpoints.card import Figure, TrainingData
from scizoo.checkpoints.format import save_checkpoint
from scizoo.checkpoints.manifest import portable
from scizoo.config import to_plain
from scizoo.data.records import Dataset, write_rejected
from scizoo.data.task import open_dataset
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.evaluation.corpora import sketch_corpus
from scizoo.evaluation.ngram import NGramModel
from scizoo.files import cache_dir, write_json
from scizoo.jobs.cards import make_card, reference_inputs
from scizoo.training.selfsupervised import Pretrained, pretrain, token_rows

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

_NGRAM_TOKENS = 5_000_000  # enough to fill the tables of a short context; more only costs memory


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
    floors = ngram_floors(trained, [int(order) for order in plain["evaluation"].get("ngram_orders") or []])
    metrics = {key: value for key, value in trained.metrics.items() if key.startswith("validation/")}
    write_json(
        run_dir / "metrics.json",
        {
            "metrics": metrics,
            "ngram_bits_per_token": floors,
            "seconds": trained.seconds,
            "steps": trained.steps,
        },
    )
    figures = pretraining_figures(trained, dataset, floors, int(plain["seed"]))
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
        sketch=sketch_corpus(plain.get("audit"), dataset),
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


def ngram_floors(trained: Pretrained, orders: list[int]) -> dict[str, float]:
    """Measure n-gram models of the training tokens on the validation tokens, in bits a token."""
    if not orders or not isinstance(trained.parts.tokenizer, TokenTokenizer):
        return {}
    train = token_rows(trained.encoded, trained.split.train, most_tokens=_NGRAM_TOKENS)
    held_out = token_rows(trained.encoded, trained.split.validation, most_tokens=_NGRAM_TOKENS // 10)
    size = trained.parts.tokenizer.vocab_size
    return {str(order): NGramModel(order, size).fit(train).bits_per_token(held_out) for order in orders}


def pretraining_figures(
    trained: Pretrained, dataset: Dataset, floors: dict[str, float], seed: int
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
    return [
        Figure(
            metric=name,
            value=value,
            data=portable(dataset.name),
            split=f"{trained.split.method}; validation part",
            seeds=(seed,),
            records=len(trained.split.validation),
            baseline=baseline,
            baseline_name=baseline_name if baseline is not None else None,
        )
    ]


def training_data(dataset: Dataset, records: int) -> TrainingData:
    """Describe a dataset for the card."""
    return TrainingData(
        name=portable(dataset.name),
        licence=dataset.licence.name,
        citation=dataset.citation,
        records=records,
    )
