"""``scizoo finetune`` of a task of generation: records that are written, and what they are worth."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scizoo.checkpoints.format import load_checkpoint
from scizoo.config import instantiate
from scizoo.data.task import read_task
from scizoo.errors import ConfigError
from scizoo.evaluation.contenders import contenders
from scizoo.evaluation.findings import Settings
from scizoo.evaluation.generation import Scorer, TextScorer, main_figure
from scizoo.evaluation.likelihood import NLL_TOKEN
from scizoo.evaluation.report.render import write_report
from scizoo.evaluation.writers import WritingArena
from scizoo.evaluation.written import find
from scizoo.files import cache_dir
from scizoo.jobs.facts import describe, domain_of
from scizoo.jobs.generation_files import Work, report, save, show, write_metrics, write_samples
from scizoo.jobs.media import FileSettings
from scizoo.jobs.reporting import audit
from scizoo.models.sampling import Sampling
from scizoo.training.generative import check_generator

log = logging.getLogger(__name__)


def run(cfg: Mapping[str, Any], run_dir: Path) -> dict[str, Any]:
    """Train each contender on the task's records, let it write, judge what it wrote, keep the first model.

    Parameters
    ----------
    cfg : mapping
        A composed, plain config.
    run_dir : Path

    Returns
    -------
    dict
        The main figures of each contender, and the negative log-likelihood per token on validation under
        ``objective``.
    """
    scorer = make_scorer(cfg)
    sampling = Sampling.from_config(cfg.get("samples"))
    FileSettings.from_config(cfg.get("files")).writers(domain_of(cfg))  # refused before anything is trained
    everyone = contenders(cfg)
    if str((cfg.get("adapt") or {}).get("mode")) == "probe":
        raise ConfigError(
            "adapt=probe trains no part of a language model that writes.", expected="full, lora or scratch"
        )
    if cfg.get("checkpoint"):
        check_generator(load_checkpoint(str(cfg["checkpoint"])))  # before the data are read
    data = read_task(cfg, run_dir)
    describe(data)
    leakage = audit(cfg, data, [str(cfg["checkpoint"])] if cfg.get("checkpoint") else [], strict=False)
    group = dict(cfg.get("evaluation") or {})
    heldout = heldout_count(group)
    arena = WritingArena(cfg, data, run_dir, cache_dir() / "tokens", sampling, heldout, scorer)
    arena.check(everyone)
    scorer.fit(arena.inputs(data.rows("train")), arena.inputs(arena.judged["test"]), arena.view())
    # What real records score shows at once whether the task names a figure that there is.
    real = arena.ceiling()
    wanted = (cfg.get("task") or {}).get("metric")
    main = main_figure(scorer, None if wanted is None else str(wanted), scorer.score(real.generated))
    written = []
    for number, contender in enumerate(everyone, start=1):
        log.info("[%d/%d] %s", number, len(everyone), contender.title)
        written.append(arena.run(contender, seed=int(cfg.get("seed") or 0)))
    work = Work(
        cfg,
        run_dir,
        data,
        [*written, real],
        scorer,
        find([*written, real], scorer, main, Settings.from_config(cfg)),
    )
    write_samples(work)
    write_metrics(work)
    save(work)
    write_report(run_dir, report(work, leakage))
    show(work)
    for sentence in work.findings.verdict["sentences"]:
        log.info("%s", sentence)
    first = written[0].contender.key
    summary = {
        f"test/{row.contender.key}/{name}": work.findings.scores[row.contender.key][name].value
        for row in work.written
        for name in (NLL_TOKEN, main)
        if name in work.findings.scores[row.contender.key]
    }
    return {
        **summary,
        "verdict": work.findings.verdict["sentence"],
        "objective": work.findings.validation[first],
    }


def make_scorer(cfg: Mapping[str, Any]) -> Scorer:
    """Make the scorer that a task names; without one, records are judged by what suits every field.

    Raises
    ------
    ConfigError
        When what it names is no Scorer.
    """
    if not cfg.get("scorer"):
        return TextScorer()
    made = instantiate(cfg["scorer"])
    if not isinstance(made, Scorer):
        raise ConfigError(
            f"scorer: {cfg['scorer'].get('_target_')} gives no Scorer.",
            expected="a subclass of scizoo.evaluation.generation.Scorer",
        )
    return made


def heldout_count(group: Mapping[str, Any]) -> int | None:
    """Read ``evaluation.heldout``.

    Raises
    ------
    ConfigError
        When it is no number from 2.
    """
    value = group.get("heldout")
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 2):
        return value
    raise ConfigError(
        f"evaluation.heldout={value}", expected="a whole number from 2, or null for all records"
    )
