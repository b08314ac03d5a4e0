"""A study: every contender with every label budget and seed, each cell computed once and kept."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from scizoo import plugins
from scizoo.checkpoints.manifest import read_manifest
from scizoo.checkpoints.store import resolve_ref
from scizoo.data.task import TaskData, read_task
from scizoo.errors import CheckpointError, ConfigError, DataError, TrainingError, did_you_mean
from scizoo.evaluation.cells import CellStore, cell_key, data_digest
from scizoo.evaluation.contenders import Arena, Contender, Result, baselines, network
from scizoo.evaluation.floor import floor_settings, forecast_levels
from scizoo.evaluation.outputs import interpolate_levels
from scizoo.evaluation.tuning import check_search, enough_steps, filled_in, merit, search_network
from scizoo.evaluation.workers import Handler, Lanes, Workers
from scizoo.training.build import build_head, build_parts, zero_shot_head

log = logging.getLogger(__name__)

_FLOORS = {
    "classification": "scizoo.evaluation.baseline.MajorityBaseline",
    "multilabel": "scizoo.evaluation.baseline.MajorityBaseline",
    "regression": "scizoo.evaluation.baseline.MeanBaseline",
    "segmentation": "scizoo.evaluation.pixels.MeanMapBaseline",
    "retrieval": "scizoo.evaluation.rankers.RandomRanking",
}


def entrants(cfg: Mapping[str, Any]) -> list[Contender]:
    """List who takes part: checkpoints in each way of adaptation, the same from scratch, baselines, a floor.

    Parameters
    ----------
    cfg : mapping
        Read are ``adapts``, ``checkpoints``, ``checkpoint``, ``versus``, ``baselines`` and ``task``.

    Raises
    ------
    ConfigError
        For an unknown way of adaptation, or something else than ``scratch`` and ``baselines`` in ``versus``.
    """
    versus = list(cfg.get("versus") or [])
    for word in versus:
        if word not in ("scratch", "baselines"):
            raise ConfigError(f"versus: '{word}' is unknown.", expected="scratch, baselines, both or none")
    refs = [str(ref) for ref in cfg.get("checkpoints") or [] if ref]
    refs = list(dict.fromkeys(refs or ([str(cfg["checkpoint"])] if cfg.get("checkpoint") else [])))
    found: list[Contender] = []
    for ref in refs:
        named = {**cfg, "checkpoint": _name(ref)}
        ways = [_adapt(cfg, str(name)) for name in cfg["adapts"]]
        ways += [{"mode": "scratch"}] if "scratch" in versus else []
        mine = [replace(network(named, way), checkpoint=ref) for way in ways]
        if len(refs) > 1:
            short = named["checkpoint"].rpartition("/")[2]
            mine = [replace(one, key=f"{short}-{one.key}") for one in mine]
        found += mine
    if not refs and cfg.get("backbone"):
        found.append(network(cfg, {"mode": "scratch"}))
    if "baselines" in versus:
        found += baselines(cfg)
    floor = _floor(cfg)
    if floor and all(dict(one.baseline or {}).get("_target_") != floor["_target_"] for one in found):
        found += [replace(one, role="floor") for one in baselines({"baselines": {"floor": floor}})]
    taken: set[str] = set()
    for one in found:
        if one.key in taken:
            raise ConfigError(f"two contenders are named '{one.key}'.", remedy="rename one of the baselines.")
        taken.add(one.key)
    return found


def _floor(cfg: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the simplest method of a kind of task; of forecasts, which the config names."""
    kind = str((cfg.get("task") or {}).get("kind"))
    if cfg.get("floor") or kind == "forecast":
        return floor_settings(cfg)
    return {"_target_": _FLOORS[kind]} if kind in _FLOORS else None


def _name(ref: str) -> str:
    """Give a checkpoint's own name, which says more than the folder of a run."""
    try:
        return read_manifest(resolve_ref(ref)).name
    except CheckpointError:  # whoever opens it says what is wrong
        return ref.rstrip("/")


def check_networks(cfg: Mapping[str, Any], data: TaskData, contenders: Sequence[Contender]) -> None:
    """Open every checkpoint and build a head for it, so that a wrong one fails before the first training.

    Raises
    ------
    ScizooError
        As opening a checkpoint or building a model does.
    """
    networks = [one for one in contenders if one.baseline is None]

    def inputs() -> Iterator[Any]:  # for a tokenizer that learns from them
        return (record.input for record in data.part("train"))

    def documents() -> Iterator[Any]:  # likewise, of pairs
        return (record.target for record in data.part("train"))

    for ref in dict.fromkeys(one.checkpoint or cfg.get("checkpoint") for one in networks):
        parts = build_parts({**cfg, "checkpoint": ref}, inputs, documents)
        mine = [one for one in networks if (one.checkpoint or cfg.get("checkpoint")) == ref]
        if any(one.untrained for one in mine):
            head: Any = zero_shot_head(parts, data.target)
            if head.kind == "forecast":
                interpolate_levels(np.empty((0, len(head.quantiles))), head.quantiles, forecast_levels(cfg))
        if not all(one.untrained for one in mine):
            build_head(cfg, parts.trained, data.target)


def _adapt(cfg: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give the settings of a way of adaptation: the config's own where it is the one chosen there."""
    chosen = dict(cfg.get("adapt") or {})
    if chosen.get("mode") == name:
        return chosen
    files = plugins.option_files("adapt")
    if name not in files:
        raise ConfigError(f"adapts: '{name}' is unknown: {did_you_mean(name, files)}")
    return dict(yaml.safe_load(files[name].read_text(encoding="utf-8")) or {})


def label_budgets(labels: Sequence[Any], available: int) -> list[int]:
    """Turn ``labels`` into numbers of training records, ascending.

    Parameters
    ----------
    labels : sequence of int or "all"
    available : int
        Training records.

    Raises
    ------
    ConfigError
        When an entry is neither a number of 2 or more nor ``all``.
    """
    found: set[int] = set()
    for entry in labels:
        if entry in ("all", None):
            found.add(available)
            continue
        if isinstance(entry, bool) or not isinstance(entry, int) or entry < 2:
            raise ConfigError(f"labels: {entry!r} is no label budget.", expected="numbers from 2, or all")
        if entry >= available:
            log.info("labels=%d: there are only %d training records; all are used", entry, available)
        found.add(min(entry, available))
    if not found:
        raise ConfigError("labels is empty.", expected="label budgets such as [20, 100, all]")
    return sorted(found)


@dataclass(frozen=True)
class Unit:
    """A piece of work: tune a contender and run its first seed, or run a further seed as tuned.

    Parameters
    ----------
    contender : Contender
    labels : int
    seed : int
    settings : mapping or None
        None tunes.
    """

    contender: Contender
    labels: int
    seed: int
    settings: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """What people read when it fails."""
        return f"{self.contender.title}, {self.labels:,} labels, seed {self.seed}"


@dataclass(frozen=True)
class Done:
    """A unit that is done: the cell that holds its outputs.

    Parameters
    ----------
    key : str
    settings : dict
        For the further seeds.
    search : dict or None
        How it was tuned, where this unit tuned.
    value : float or None
        The metric on validation.
    computed : int
        Cells that were computed, and not found.
    """

    key: str
    settings: dict[str, Any]
    search: dict[str, Any] | None
    value: float | None
    computed: int


class Missing(Exception):
    """A cell is not done, and may not be computed here."""


class Runner:
    """Carries out units on one arena, through the store.

    Parameters
    ----------
    arena : Arena
    store : CellStore
    digest : str
        Of the data.
    compute : bool
        Whether cells may be computed; else :class:`Missing` is raised for the first that is not done.
    """

    def __init__(self, arena: Arena, store: CellStore, digest: str, *, compute: bool = True):
        self.arena, self.store, self.digest, self.compute = arena, store, digest, compute
        self.computed = 0

    def __call__(self, unit: Unit) -> Done:
        """Carry out a unit."""
        before = self.computed
        if unit.contender.baseline is not None:
            key, facts, settings, search = self._baseline(unit)
        else:
            key, facts, settings, search = self._network(unit)
        return Done(key, settings, search, facts["merit"][2], self.computed - before)

    def _baseline(self, unit: Unit) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any] | None]:
        trials = int((self.arena.cfg.get("tuning") or {}).get("trials") or 0)
        # What does not learn has one cell, that of the first seed, in which it was tuned.
        tunes = unit.settings is None or unit.contender.untrained
        options: dict[str, Any] = {"settings": unit.settings or {}, "trials": trials if tunes else 0}
        key = cell_key(
            self.arena.cfg, self.digest, unit.contender, labels=unit.labels, seed=unit.seed, **options
        )
        facts = self._cell(key, unit, options)
        found = facts["settings"]
        settings = dict(found["settings"]) if tunes else dict(unit.settings or {})
        search = {name: found[name] for name in ("settings", "trials", "budget", "note")} if tunes else None
        return key, facts, settings, search

    def _network(self, unit: Unit) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any] | None]:
        def attempt(settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
            cfg = enough_steps(filled_in(self.arena.cfg, settings), unit.labels)
            key = cell_key(cfg, self.digest, unit.contender, labels=unit.labels, seed=unit.seed)
            overrides = {name: cfg.get(name) for name in ("optimizer", "trainer", "batching")}
            # Nobody watches a cell, and it is never resumed half-way: no display, no log, no last state.
            overrides["callbacks"] = {
                **(cfg.get("callbacks") or {}),
                "progress": None,
                "learning_rate": False,
                "checkpoint": {"every_n_epochs": 10**6},
            }
            overrides["logger"] = None
            return key, self._cell(key, unit, {"overrides": overrides}, dict(settings))

        if unit.settings is not None:
            return *attempt(unit.settings), dict(unit.settings), None
        cfg = self.arena.cfg
        trials = int((cfg.get("tuning") or {}).get("trials") or 0)
        if unit.contender.untrained:
            cfg, trials = {}, 0  # there is nothing to tune
        search = search_network(attempt, cfg, trials=trials, seed=unit.seed)
        facts = self.store.facts(search.key)
        assert facts is not None
        return search.key, facts, search.settings, search.to_dict()

    def _cell(
        self, key: str, unit: Unit, options: Mapping[str, Any], tuned: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        facts = self.store.facts(key)
        if facts is not None:
            return facts
        if not self.compute:
            raise Missing(unit.name)
        log.debug("%s: %s", unit.name, tuned or "as configured")
        with _scratch_folder(self.arena):
            result = self.arena.run(unit.contender, seed=unit.seed, labels=unit.labels, **options)
        if tuned is not None:
            result.settings["tuned"] = dict(tuned)
        self.store.save(key, result, {"merit": merit(self.arena.metric, result.validation)})
        self.computed += 1
        saved = self.store.facts(key)  # as any later run will read it, so that resuming changes nothing
        if saved is None:
            raise TrainingError(f"the cell {self.store.path(key)} was removed while it was needed.")
        return saved


@contextmanager
def _scratch_folder(arena: Arena) -> Iterator[None]:
    """Let a cell train in a folder of its own that is removed afterwards."""
    home = arena.run_dir
    folder = Path(tempfile.mkdtemp(prefix="cell-", dir=home))
    arena.run_dir = folder
    try:
        yield
    finally:
        arena.run_dir = home
        shutil.rmtree(folder, ignore_errors=True)


def worker_setup(
    cfg: Mapping[str, Any], run_dir: Path, cache: Path | None, store: Path, digest: str
) -> Handler:
    """Make what a worker process carries units out with; it reads the data itself.

    Raises
    ------
    DataError
        When it does not read the same data as the process that started it.
    """
    data = read_task(cfg)
    if data_digest(data) != digest:
        raise DataError(
            f"{data.dataset.name} gave other records, parts or labels when it was read again.",
            expected="the same data from the same files and seed",
            remedy="leave the files alone during a run; a splitter or dataset must not draw without a seed.",
        )
    return Runner(Arena(cfg, data, run_dir, cache), CellStore(store), digest)


@dataclass
class Entry:
    """One contender with one label budget: a row of the table.

    Parameters
    ----------
    contender : Contender
    labels : int
    results : list of Result
        One a seed, in order of the seeds.
    search : dict or None
        How it was tuned.
    """

    contender: Contender
    labels: int
    results: list[Result] = field(default_factory=list)
    search: dict[str, Any] | None = None


@dataclass(frozen=True)
class Failed:
    """A cell that could not be computed.

    Parameters
    ----------
    name, problem : str
    exit_status : int
    """

    name: str
    problem: str
    exit_status: int


@dataclass
class Study:
    """All that was found.

    Parameters
    ----------
    entries : list of Entry
        By label budget, then in the order of the contenders; without those that failed.
    failed : list of Failed
    computed, reused : int
        Cells that were computed now, and units that were wholly found.
    budgets : list of int
    seeds : list of int
    trials : int
        The tuning budget.
    """

    entries: list[Entry]
    failed: list[Failed]
    computed: int
    reused: int
    budgets: list[int]
    seeds: list[int]
    trials: int

    def at(self, labels: int) -> list[Entry]:
        """Give the entries with a label budget."""
        return [entry for entry in self.entries if entry.labels == labels]


def run_study(
    cfg: Mapping[str, Any],
    data: TaskData,
    *,
    run_dir: Path,
    cache: Path | None,
    store: CellStore,
    lanes: Lanes,
) -> Study:
    """Run every cell that is not done yet, in parallel, and gather all.

    Each contender is tuned with the first seed at each label budget, by ``tuning.trials`` settings on the
    validation part; the further seeds are run as tuned, with labels drawn anew.

    Parameters
    ----------
    cfg : mapping
        A composed config of ``compare``.
    data : TaskData
    run_dir : Path
        Scratch files and logs of the workers go here.
    cache : Path or None
        Of encoded records.
    store : CellStore
    lanes : Lanes

    Returns
    -------
    Study
        Failed cells are named in it, and do not lose the others.

    Raises
    ------
    ConfigError
        When the config is wrong, before anything is trained.
    """
    check_search((cfg.get("tuning") or {}).get("search") or {})
    seeds = list(dict.fromkeys(int(seed) for seed in cfg.get("seeds") or [cfg.get("seed") or 0]))
    budgets = label_budgets(cfg.get("labels") or ["all"], len(data.rows("train")))
    contenders = entrants(cfg)
    digest = data_digest(data)
    arena = Arena(cfg, data, run_dir, cache)
    replay = Runner(arena, store, digest, compute=False)
    entries = {(labels, one.key): Entry(one, labels) for labels in budgets for one in contenders}
    found: dict[tuple[int, str, int], Done] = {}
    failed: list[Failed] = []
    total, computed = len(entries) * len(seeds), 0
    setup: Callable[..., Handler] = worker_setup
    arguments: tuple[Any, ...] = (dict(cfg), run_dir, cache, store.root, digest)
    if lanes.jobs == 1:  # the data have been read in this process already
        setup, arguments = Runner, (arena, store, digest)
    with Workers(lanes, setup, arguments, logs=run_dir / "workers") as workers:

        def start(unit: Unit) -> None:
            """Take what is done already; have the rest computed."""
            try:
                finish(unit, replay(unit))
            except Missing:
                workers.submit(unit)

        def finish(unit: Unit, done: Done) -> None:
            found[unit.labels, unit.contender.key, unit.seed] = done
            if unit.settings is None:
                if unit.contender.untrained and unit.labels == budgets[-1]:
                    for labels in budgets[:-1]:  # the same cell again
                        start(Unit(unit.contender, labels, seeds[0]))
                entries[unit.labels, unit.contender.key].search = done.search
                for seed in seeds[1:]:
                    start(Unit(unit.contender, unit.labels, seed, done.settings))

        for labels in reversed(budgets):  # the longest first, so that no core idles at the end
            for one in contenders:
                if labels == budgets[-1] or not one.untrained:
                    start(Unit(one, labels, seeds[0]))
        reused = len(found)
        if reused:
            log.info("%d of %d cells are done already", reused, total)
        for outcome in workers.outcomes():
            unit: Unit = outcome.task
            if outcome.error is not None:
                lost = len(seeds) if unit.settings is None else 1
                lost *= len(budgets) if unit.contender.untrained and unit.settings is None else 1
                log.error("%s failed: %s", unit.name, outcome.error)
                failed.append(Failed(unit.name, outcome.error, outcome.exit_status))
                total -= lost - 1
                continue
            computed += outcome.value.computed
            finish(unit, outcome.value)
            value = outcome.value.value
            shown = "undefined" if value is None else f"{value:.4g}"
            log.info(
                "[%d/%d] %s: %s %s on validation",
                len(found) + len(failed),
                total,
                unit.name,
                arena.metric,
                shown,
            )
    for (labels, key), entry in entries.items():
        dones = [found[labels, key, seed] for seed in seeds if (labels, key, seed) in found]
        results = [store.load(done.key, entry.contender) for done in dones]
        # What is not trained has one cell for all budgets and seeds.
        known = [seed for seed in seeds if (labels, key, seed) in found]
        entry.results = [
            replace(result, labels=labels, seed=seed)
            for result, seed in zip(results, known, strict=True)
            if result is not None
        ]
    trials = int((cfg.get("tuning") or {}).get("trials") or 0)
    kept = [entry for entry in entries.values() if entry.results]
    return Study(kept, failed, computed, reused, budgets, seeds, trials)
