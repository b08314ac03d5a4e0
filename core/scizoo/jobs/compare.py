"""``scizoo compare TASK``: whether the pre-trained model is worth using here, and from how many labels on."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scizoo.config import to_plain
from scizoo.data.task import TaskData, read_task
from scizoo.errors import ConfigError, TrainingError
from scizoo.evaluation.cells import CellStore, data_digest
from scizoo.evaluation.contenders import Arena, Contender
from scizoo.evaluation.cost import duration
from scizoo.evaluation.findings import Judged
from scizoo.evaluation.leftout import check_left_out, left_out_section
from scizoo.evaluation.operating import ThresholdRule
from scizoo.evaluation.plain import plain
from scizoo.evaluation.report.render import write_report
from scizoo.evaluation.study import Study, check_networks, entrants, run_study
from scizoo.evaluation.table import Row, rich_table
from scizoo.evaluation.workers import limited_threads, plan
from scizoo.files import atomic_path, cache_dir, write_json
from scizoo.jobs.facts import describe
from scizoo.jobs.kinds import need_labels
from scizoo.jobs.reporting import Report, audit, check_metrics, check_subgroups

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)


def run(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Audit the split, run or find every cell, judge them, and write the report.

    Parameters
    ----------
    cfg : DictConfig
        A composed config.
    run_dir : Path

    Returns
    -------
    dict
        The verdict, the main metric of each row on test, and on validation under ``objective``.

    Raises
    ------
    LeakageError
        When the split leaks and the leak was not allowed by name; nothing is trained then.
    TrainingError
        When cells failed, after the report of the others was written.
    """
    settings = to_plain(cfg)
    need_labels(settings, "compare")
    check_metrics(settings)
    everyone = entrants(settings)  # what is wrong in the config shows before the data are read
    data = read_task(settings, run_dir)
    describe(data)
    check_subgroups(settings, data.part("test"))
    check_networks(settings, data, everyone)
    leakage = audit(settings, data, [one.checkpoint for one in everyone if one.checkpoint], strict=True)
    if left_out(settings):
        check_left_out(data, left_out(settings))
    metric = Arena(settings, data, run_dir, None).metric
    accelerator = str((settings.get("trainer") or {}).get("accelerator") or "auto")
    lanes = plan(_count(settings, "jobs"), _count(settings, "threads"), accelerator)
    log.info("%d cells at once, %d threads each", lanes.jobs, lanes.threads)
    study = run_study(
        settings,
        data,
        run_dir=run_dir,
        cache=cache_dir() / "tokens",
        store=CellStore(cache_dir() / "cells"),
        lanes=lanes,
    )
    failed = [{"name": one.name, "problem": one.problem} for one in study.failed]
    if not study.entries:
        raise TrainingError("every cell failed; the first: " + " ".join(failed[0].values()))
    save_outputs(run_dir, study)
    rule = ThresholdRule.from_config(settings)
    judged = [Judged.of(entry.results, entry.search, rule) for entry in study.entries]
    report = Report(
        cfg=settings,
        verb="compare",
        run_dir=run_dir,
        judged=judged,
        records=data.part("test"),
        dataset=data.dataset,
        metric=metric,
        parts=data.counts(),
        split=data.split.method,
        fingerprint=data_digest(data),
        leakage=leakage,
        failed=failed,
    )
    with limited_threads(lanes.threads):
        report.ood = ood(settings, data, report.main, everyone, run_dir)
    content = report.build()
    write_metrics(run_dir, content)
    write_report(run_dir, content)
    show(report, data)
    sentence = content["verdict"]["sentence"]
    log.info("%s", sentence)
    if failed:
        names = "; ".join(one["name"] for one in failed)
        raise TrainingError(
            f"{len(failed)} cells failed ({names}); the others are in {run_dir / 'report.html'}. "
            f"The first: {failed[0]['problem']}",
            remedy="run the same command again when the cause is mended; what is done is kept.",
        )
    main = report.main
    summary = {f"test/{row.name}/{row.labels}": row.scores[metric].value for row in report.rows}
    return {
        "verdict": sentence,
        "computed": study.computed,
        "reused": study.reused,
        **summary,
        "objective": main.merit(metric),
    }


def _count(cfg: dict[str, Any], key: str) -> int | str:
    value = cfg.get(key)
    if value in (None, "auto"):
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{key}={value}", expected="a number from 1, or auto")
    return value


def left_out(cfg: Mapping[str, Any]) -> list[Any]:
    """Give the classes that ``evaluation.ood.leave_out`` names."""
    return list(((cfg.get("evaluation") or {}).get("ood") or {}).get("leave_out") or [])


def ood(
    cfg: Mapping[str, Any], data: TaskData, main: Judged, everyone: Sequence[Contender], run_dir: Path
) -> dict[str, Any] | None:
    """Measure the out-of-distribution score of the main contender, where the task names how."""
    contender = next(one for one in everyone if one.key == main.key)
    if not left_out(cfg) or contender.baseline is not None:
        return None
    with TemporaryDirectory(prefix="ood-", dir=run_dir) as folder:
        return left_out_section(
            cfg,
            data,
            contender,
            classes=left_out(cfg),
            tuned=main.settings.get("tuned") or {},
            seed=main.seeds[0],
            run_dir=Path(folder),
            cache=cache_dir() / "tokens",
            store=CellStore(cache_dir() / "cells"),
        )


def save_outputs(run_dir: Path, study: Study) -> None:
    """Write what every cell predicted as Parquet files, and a table of the cells."""
    rows: list[dict[str, Any]] = []
    for entry in study.entries:
        for result in entry.results:
            name = f"{entry.contender.key}-{entry.labels}-seed{result.seed}"
            for part in ("validation", "test"):
                getattr(result, part).save(run_dir / "outputs" / f"{name}-{part}.parquet")
            rows.append(
                {
                    "contender": entry.contender.key,
                    "title": entry.contender.title,
                    "role": entry.contender.role,
                    "labels": entry.labels,
                    "seed": result.seed,
                    "seconds": round(result.cost.seconds, 3),
                    "outputs": f"outputs/{name}-test.parquet",
                }
            )
    with atomic_path(run_dir / "cells.csv") as path, path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_metrics(run_dir: Path, content: dict[str, Any]) -> None:
    """Write ``metrics.json`` and ``metrics.csv``: one line a contender, label budget and metric."""
    lines = [
        {"contender": row["name"], "role": row["role"], "labels": row["labels"], "metric": name, **found}
        for row in content["table"]["rows"]
        for name, found in row["scores"].items()
    ]
    write_json(
        run_dir / "metrics.json",
        plain(
            {
                "task": content["task"]["name"],
                "verdict": content["verdict"],
                "comparisons": content["comparisons"],
                "metrics": lines,
                **({} if content.get("operating") is None else {"operating": content["operating"]}),
            }
        ),
    )
    with atomic_path(run_dir / "metrics.csv") as path, path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def show(report: Report, data: TaskData) -> None:
    """Print the table: the main metric of each contender at each label budget."""
    from rich.console import Console

    seconds = {
        (one.title, one.labels): sum(cost.seconds for cost in one.costs) / max(1, len(one.costs))
        for one in report.judged
    }
    rows = [
        Row(row.name, row.scores, row.labels, row.role, {"time": duration(seconds[row.name, row.labels])})
        for row in report.rows
    ]
    Console().print(rich_table(rows, [report.metric], title=f"{data.name}: test part"))
