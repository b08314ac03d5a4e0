"""Contenders for a task of generation: each learns from the training part and writes records of its own."""

from __future__ import annotations

import logging
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
from scizoo.evaluation.generation import Generated, Scorer, TokenView
from scizoo.evaluation.generators import RecordGenerator
from scizoo.evaluation.likelihood import Likelihood
from scizoo.models.sampling import Drawn, Sampling, decode, draw, new_tokens, starts_of
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

log = logging.getLogger(__name__)

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
    scorer : Scorer, optional
        Says which part of a held-out record is a prompt, where the task has such records.

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
        scorer: Scorer | None = None,
    ):
        self.cfg, self.data, self.run_dir, self.sampling = dict(cfg), data, run_dir, sampling
        self.parts = build_parts(cfg, lambda: (record.input for record in data.part("train")))
        build_language(cfg, self.parts, fresh=False)  # refuses what cannot write
        if not self.parts.context.add_cls:
            raise ConfigError(
                "context.add_cls is false: nothing marks where a record begins, so that none can be written.",
                remedy="set context.add_cls=true, or choose a checkpoint that was trained so.",
            )
        self._room(1 + (sampling.prompt_tokens or 0))  # refused before the data are encoded
        encoded = encode_task(self.parts, data.records, fingerprint=data.dataset.fingerprint(), cache=cache)
        assert isinstance(encoded, EncodedDataset)  # pairs are for retrieval
        self.encoded = encoded
        self.once = once(self.encoded)
        rng = np.random.default_rng(int(cfg.get("seed") or 0))
        self.judged = {
            part: rows if len(rows) <= (heldout or len(rows)) else np.sort(rng.choice(rows, heldout, False))
            for part in ("validation", "test")
            for rows in [data.rows(part)]
        }
        self._scorer = self._prompting(scorer)
        self.begun = self._begun()
        self.starts = self._starts()

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

    def _prompting(self, scorer: Scorer | None) -> Scorer | None:
        """Give the scorer if held-out records have prompts of their own."""
        rows = self.judged["test"]
        if scorer is None or not len(rows) or scorer.prompt(self.data.records[rows[0]].input) is None:
            return None
        if self.sampling.prompt_tokens is not None:
            raise ConfigError(
                f"samples.prompt_tokens={self.sampling.prompt_tokens}: the records of this task have prompts "
                "of their own.",
                remedy="leave samples.prompt_tokens out.",
            )
        return scorer

    def _room(self, given: int) -> int:
        return new_tokens(self.sampling, self.parts.context, self.parts.backbone, given)

    def _starts(self) -> list[np.ndarray]:
        """Give the tokens that each sample begins with, CLS first."""
        first = np.array([self.tokenizer.cls_id], dtype=np.int64)
        if self.begun is None:
            return [first] * self.sampling.count
        if self._scorer is None:
            length = self.sampling.prompt_tokens
            return [np.concatenate([first, ids[:length]]) for ids in self.tokens(self.begun)]
        prompts = [self._scorer.prompt(value) for value in self.inputs(self.judged["test"])]
        rows = starts_of(self.tokenizer, self.parts.context, prompts, self.sampling)
        most = min(self.parts.context.max_length, self.parts.backbone.max_length or np.inf)
        most = int(most) - (self.sampling.max_tokens or 1)
        if most < 1:
            self._room(1)  # says what does not fit
        long = sum(len(row) > most for row in rows)
        if long:
            log.warning(
                "%d of %d prompts are cut at their beginning: there is room for %d tokens.",
                long,
                len(rows),
                most,
            )
        rows = [
            row if len(row) <= most else np.concatenate([first, row[len(row) - most + 1 :]]) for row in rows
        ]
        return [row for row in rows for _ in range(self.sampling.count)]

    def _begun(self) -> np.ndarray | None:
        """Choose the held-out records whose beginnings are continued, one for each sample."""
        if self._scorer is not None:
            return np.repeat(self.judged["test"], self.sampling.count)
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

    def check(self, contenders: Sequence[Contender]) -> None:
        """Refuse baselines that could not take part, before anything is trained.

        Raises
        ------
        ConfigError
        """
        for contender in contenders:
            if contender.baseline is not None:
                self._baseline(contender).check(self.starts, self.tokenizer)

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
            inputs = self.inputs(rows)
            if self._scorer is not None:
                answers = [self._scorer.answer(value) for value in inputs]
                ids = [np.asarray(row) for row in self.tokenizer.encode(answers)["input_ids"]]
                return Written(_CEILING, Generated(inputs, ids, inputs, answers))
            given = len(self.starts[0]) - 1
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
                starts=self.starts,
                seed=seed,
            )
            size = int(self.cfg["batching"].get("eval_batch_size") or 64)
            likelihood = {
                part: self._likelihood(
                    rows,
                    *record_likelihood(
                        fitted.backbone,
                        fitted.objective,
                        self.once,
                        rows,
                        given=self._given(rows),
                        batch_size=size,
                    ),
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

    @staticmethod
    def _baseline(contender: Contender) -> RecordGenerator:
        baseline = instantiate(contender.baseline)
        if not isinstance(baseline, RecordGenerator):
            raise ConfigError(
                f"baselines.{contender.key}: {type(baseline).__name__} writes no records.",
                expected="a RecordGenerator, such as scizoo.evaluation.generators.NGramGenerator",
            )
        return baseline

    def _run_baseline(self, contender: Contender, seed: int) -> Written:
        baseline = self._baseline(contender)
        with CostMeter() as meter:
            training = token_rows(self.once, self.data.rows("train"), most_tokens=_MOST_TOKENS, seed=seed)
            rows = {part: list(record_rows(self.once, judged)) for part, judged in self.judged.items()}
            ids = {part: [one for _, one in pieces] for part, pieces in rows.items()}
            baseline.fit(training, ids["validation"], self.tokenizer)
            drawn = self._drawn(baseline, seed)
            likelihood = {
                part: self._likelihood(judged, *_by_record(baseline, rows[part], judged, self._given(judged)))
                for part, judged in self.judged.items()
            }
        named = replace(contender, title=baseline.title)
        settings = {key: value for key, value in vars(baseline).items() if key in ("order", "tried")}
        return Written(named, self._generated(drawn), meter.cost, drawn, likelihood, seed, settings)

    def _drawn(self, baseline: RecordGenerator, seed: int) -> Drawn:
        """Let a baseline write, beginnings of one length at a time."""
        lengths = np.array([len(start) for start in self.starts])
        order: list[np.ndarray] = []
        parts: list[Drawn] = []
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            given = np.stack([self.starts[row] for row in rows])
            context, most = self.parts.context, self._room(length)
            parts.append(
                baseline.draw(
                    given, self.sampling, self.tokenizer, context, most=most, seed=seed + len(parts)
                )
            )
            order.append(rows)
        back = np.argsort(np.concatenate(order))
        rows_of = [row for part in parts for row in part.rows]
        return Drawn(
            [rows_of[place] for place in back],
            *(
                np.concatenate([getattr(part, name) for part in parts])[back]
                for name in ("finished", "log_likelihood", "tokens", "prompts")
            ),
        )

    def _generated(self, drawn: Drawn) -> Generated:
        # Special tokens of a prompt are not among those of the rows.
        first = len(self.tokenizer.SPECIAL)
        rows = [
            row[int((start >= first).sum()) :] for start, row in zip(self.starts, drawn.rows, strict=True)
        ]
        inputs = [decode(self.tokenizer, row) for row in drawn.rows]
        if self.begun is None:
            return Generated(inputs, rows)
        references = self.inputs(self.begun)
        if self._scorer is None:
            return Generated(inputs, rows, references)
        answers = [decode(self.tokenizer, row) for row in rows]
        whole = [self._scorer.complete(*pair) for pair in zip(references, answers, strict=True)]
        inputs = [one if found is None else found for one, found in zip(inputs, whole, strict=True)]
        return Generated(inputs, rows, references, answers)

    def _given(self, rows: np.ndarray) -> np.ndarray:
        """Count the tokens of some records that are not scored, because they are given: their prompts."""
        if self._scorer is None:
            return np.zeros(len(rows), dtype=np.int64)
        prompts = [self._scorer.prompt(value) for value in self.inputs(rows)]
        return self.tokenizer.encode(prompts)[self.encoded.main_input].lengths

    def _likelihood(self, rows: np.ndarray, sums: np.ndarray, tokens: np.ndarray) -> Likelihood:
        groups, unit = self.data.split.groups[rows].astype(str), self.tokenizer.unit
        if unit is None:
            return Likelihood(sums, tokens, groups)
        scorer = self._scorer
        scored = [value if scorer is None else scorer.answer(value) for value in self.inputs(rows)]
        sizes = np.array([self.tokenizer.size(one) for one in scored])
        return Likelihood(sums, tokens, groups, sizes, unit, self.tokenizer.in_nats)


def _by_record(
    baseline: RecordGenerator,
    pieces: Sequence[tuple[int, np.ndarray]],
    rows: np.ndarray,
    given: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Add up the likelihood of each record after what is given of it, and the predicted tokens."""
    place = {int(row): number for number, row in enumerate(rows)}
    left = given.copy()
    shown: list[np.ndarray] = []
    for record, ids in pieces:
        skipped = min(int(left[place[record]]), len(ids) - 1)
        left[place[record]] -= skipped
        shown.append(ids[: 1 + skipped])
    scores = baseline.log_likelihood([ids for _, ids in pieces])
    if given.any():  # what is given is as likely as it is by itself: the rest is likely given that
        scores = scores - baseline.log_likelihood(shown)
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    for (record, ids), start, score in zip(pieces, shown, scores, strict=True):
        sums[place[record]] += score
        counts[place[record]] += len(ids) - len(start)
    return sums, counts
