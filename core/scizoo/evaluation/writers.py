"""Contenders for a task of generation: each learns from the training part and writes records of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.config import instantiate
from scizoo.data.encoding import EncodedDataset
from scizoo.data.task import TaskData
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.contenders import Contender
from scizoo.evaluation.cost import Cost, CostMeter, count_parameters
from scizoo.evaluation.generation import Generated, TokenView
from scizoo.evaluation.generators import RecordGenerator
from scizoo.evaluation.likelihood import Likelihood
from scizoo.models.sampling import Drawn, Sampling, decode, draw, new_tokens
from scizoo.training.build import ModelParts, build_parts
from scizoo.training.generative import (
    FittedLanguage,
    build_language,
    fit_language,
    inference_device,
    once,
    record_likelihood,
    record_rows,
)
from scizoo.training.selfsupervised import token_rows
from scizoo.training.supervised import encode_task

_MOST_TOKENS = 20_000_000  # that a baseline counts; more only costs memory
_CEILING = Contender("heldout", "held-out records", "ceiling")


@dataclass
class Written:
    """What a contender wrote, and how likely it finds the held-out records.

    Parameters
    ----------
    contender : Contender
    generated : Generated
    cost : Cost or None
        None for records that nothing was trained for.
    drawn : Drawn or None
        None for real records.
    likelihood : dict of str to Likelihood
        By part: ``validation`` and ``test``.
    seed : int
    settings : dict
    fitted : FittedLanguage or None
    parts : ModelParts or None
    """

    contender: Contender
    generated: Generated
    cost: Cost | None = None
    drawn: Drawn | None = None
    likelihood: dict[str, Likelihood] = field(default_factory=dict)
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    fitted: FittedLanguage | None = None
    parts: ModelParts | None = None


class WritingArena:
    """Where contenders for one task of generation meet: the same records, split, tokens and seeds for all.

    Parameters
    ----------
    cfg : mapping
        A composed, plain config.
    data : TaskData
    run_dir : Path
    cache : Path or None
        The folder of all caches.
    sampling : Sampling
    heldout : int, optional
        Records of a part that are judged; of more, so many are drawn.

    Raises
    ------
    ConfigError
        When the model cannot write records; nothing has been trained then.
    DataError
        When more tokens are asked for than the context holds.
    """

    def __init__(
        self,
        cfg: Mapping[str, Any],
        data: TaskData,
        run_dir: Path,
        cache: Path | None,
        sampling: Sampling,
        heldout: int | None = None,
    ):
        self.cfg, self.data, self.run_dir, self.sampling = dict(cfg), data, run_dir, sampling
        self.parts = build_parts(cfg, lambda: (record.input for record in data.part("train")))
        build_language(cfg, self.parts, fresh=False)  # refuses what cannot write
        if not self.parts.context.add_cls:
            raise ConfigError(
                "context.add_cls is false: nothing marks where a record begins, so that none can be written.",
                remedy="set context.add_cls=true, or choose a checkpoint that was trained so.",
            )
        given = 1 + (sampling.prompt_tokens or 0)
        self.most = new_tokens(sampling, self.parts.context, self.parts.backbone, given)
        self.encoded: EncodedDataset = encode_task(
            self.parts, data.records, fingerprint=data.dataset.fingerprint(), cache=cache
        )
        self.once = once(self.encoded)
        rng = np.random.default_rng(int(cfg.get("seed") or 0))
        self.judged = {
            part: rows if len(rows) <= (heldout or len(rows)) else np.sort(rng.choice(rows, heldout, False))
            for part in ("validation", "test")
            for rows in [data.rows(part)]
        }
        self.begun = self._begun()
        tokens = [] if self.begun is None else self.tokens(self.begun)
        self.starts = np.full((sampling.count, given), self.tokenizer.cls_id, dtype=np.int64)
        for row, ids in zip(self.starts, tokens):
            row[1:] = ids[: given - 1]

    @property
    def tokenizer(self) -> TokenTokenizer:
        """The tokenizer that all contenders share."""
        assert isinstance(self.parts.tokenizer, TokenTokenizer)
        return self.parts.tokenizer

    def inputs(self, rows: np.ndarray) -> list[Any]:
        """Give the raw inputs of some records."""
        return [self.data.records[row].input for row in rows]

    def tokens(self, rows: np.ndarray) -> list[np.ndarray]:
        """Give some records as tokens, special tokens left out."""
        store = self.encoded.store
        first = np.flatnonzero(np.asarray(store.row_view) == 0)
        place = np.empty(self.encoded.record_count, dtype=np.int64)
        place[np.asarray(store.row_record)[first]] = first
        array = store.arrays[self.encoded.main_input]
        return [np.asarray(array[int(row)], dtype=np.int64) for row in place[rows]]

    def _begun(self) -> np.ndarray | None:
        """Choose the held-out records whose beginnings are continued, one for each sample."""
        length = self.sampling.prompt_tokens
        if length is None:
            return None
        rows = self.judged["test"]
        longer = rows[np.array([len(ids) > length for ids in self.tokens(rows)], dtype=bool)]
        if not len(longer):
            raise DataError(
                f"no test record has more than samples.prompt_tokens={length} tokens.",
                remedy="lower samples.prompt_tokens.",
            )
        rng = np.random.default_rng(int(self.cfg.get("seed") or 0))
        return np.resize(rng.permutation(longer), self.sampling.count)

    def view(self) -> TokenView:
        """Give what a scorer needs of the training and test parts."""
        return TokenView(self.tokens(self.data.rows("train")), self.tokens(self.judged["test"]))

    def run(self, contender: Contender, *, seed: int = 0) -> Written:
        """Let a contender learn from the training part, write records, and judge the held-out ones."""
        if contender.baseline is not None:
            return self._run_baseline(contender, seed)
        return self._run_network(contender, seed)

    def ceiling(self) -> Written:
        """Put real records in the place of written ones: those of the validation part.

        The test part is what written records are compared with, so that it cannot be judged itself. Where
        held-out records are continued, the real ones go on as they do.
        """
        if self.begun is not None:
            rows = np.unique(self.begun)
            inputs, given = self.inputs(rows), self.starts.shape[1] - 1
            return Written(_CEILING, Generated(inputs, [ids[given:] for ids in self.tokens(rows)], inputs))
        rows = self.data.rows("validation")
        if len(rows) > self.sampling.count:
            rng = np.random.default_rng(int(self.cfg.get("seed") or 0))
            rows = np.sort(rng.choice(rows, self.sampling.count, replace=False))
        return Written(_CEILING, Generated(self.inputs(rows), self.tokens(rows)))

    def _run_network(self, contender: Contender, seed: int) -> Written:
        cfg = {**self.cfg, "adapt": dict(contender.adapt or {"mode": "full"})}
        with CostMeter() as meter:
            parts = self._parts(cfg)
            fitted = fit_language(
                cfg,
                parts,
                self.encoded,
                self.data.split,
                run_dir=self.run_dir / "training" / f"{contender.key}-seed{seed}",
                seed=seed,
                title=contender.title,
            )
            device = inference_device(cfg)
            fitted.backbone.to(device)
            fitted.objective.to(device)
            drawn = draw(
                fitted.backbone,
                fitted.objective,
                self.tokenizer,
                parts.context,
                replace(self.sampling, count=1),
                starts=list(self.starts),
                seed=seed,
            )
            size = int(self.cfg["batching"].get("eval_batch_size") or 64)
            likelihood = {
                part: self._likelihood(
                    rows,
                    *record_likelihood(fitted.backbone, fitted.objective, self.once, rows, batch_size=size),
                )
                for part, rows in self.judged.items()
            }
            fitted.backbone.to("cpu")
            fitted.objective.to("cpu")
        head = count_parameters(fitted.objective)[0]
        cost = replace(
            meter.cost,
            parameters=fitted.adapt.total + head,
            trained_parameters=fitted.adapt.trainable + head,
        )
        settings = {"steps": fitted.steps, "precision": fitted.precision}
        generated = self._generated(drawn)
        return Written(contender, generated, cost, drawn, likelihood, seed, settings, fitted, parts)

    def _parts(self, cfg: Mapping[str, Any]) -> ModelParts:
        """Give new parts to each network but the first, which takes those that the arena was made with."""
        if not hasattr(self, "_taken"):
            self._taken = True
            return self.parts
        return build_parts(cfg, lambda: self.inputs(self.data.rows("train")))

    def _run_baseline(self, contender: Contender, seed: int) -> Written:
        baseline = instantiate(contender.baseline)
        if not isinstance(baseline, RecordGenerator):
            raise ConfigError(
                f"baselines.{contender.key}: {type(baseline).__name__} writes no records.",
                expected="a RecordGenerator, such as scizoo.evaluation.generators.NGramGenerator",
            )
        with CostMeter() as meter:
            training = token_rows(self.once, self.data.rows("train"), most_tokens=_MOST_TOKENS, seed=seed)
            rows = {part: list(record_rows(self.once, judged)) for part, judged in self.judged.items()}
            ids = {part: [one for _, one in pieces] for part, pieces in rows.items()}
            baseline.fit(training, ids["validation"], self.tokenizer)
            drawn = baseline.draw(
                self.starts, self.sampling, self.tokenizer, self.parts.context, most=self.most, seed=seed
            )
            likelihood = {
                part: self._likelihood(
                    self.judged[part],
                    *_by_record(rows[part], baseline.log_likelihood(ids[part]), self.judged[part]),
                )
                for part in ("validation", "test")
            }
        named = replace(contender, title=baseline.title)
        settings = {key: value for key, value in vars(baseline).items() if key in ("order", "tried")}
        return Written(named, self._generated(drawn), meter.cost, drawn, likelihood, seed, settings)

    def _generated(self, drawn: Drawn) -> Generated:
        given = self.starts.shape[1] - 1
        return Generated(
            [decode(self.tokenizer, row) for row in drawn.rows],
            [row[given:] for row in drawn.rows],
            None if self.begun is None else self.inputs(self.begun),
        )

    def _likelihood(self, rows: np.ndarray, sums: np.ndarray, tokens: np.ndarray) -> Likelihood:
        groups, unit = self.data.split.groups[rows].astype(str), self.tokenizer.unit
        if unit is None:
            return Likelihood(sums, tokens, groups)
        units = np.array([self.tokenizer.units(ids) for ids in self.tokens(rows)])
        return Likelihood(sums, tokens, groups, units, unit)


def _by_record(
    pieces: Sequence[tuple[int, np.ndarray]], scores: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add up the likelihood of the windows of each record, and their predicted tokens."""
    place = {int(row): number for number, row in enumerate(rows)}
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    for (record, ids), score in zip(pieces, scores, strict=True):
        sums[place[record]] += score
        counts[place[record]] += len(ids) - 1
    return sums, counts
