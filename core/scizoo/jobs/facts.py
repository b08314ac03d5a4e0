"""Sections of a report that do not depend on what was judged: data, how to reproduce, pictures."""

from __future__ import annotations

import base64
import io
import logging
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scizoo import plugins
from scizoo.checkpoints.manifest import portable, portable_text
from scizoo.config import get_class
from scizoo.data.records import Dataset, Record
from scizoo.data.task import TaskData
from scizoo.domain import Domain
from scizoo.evaluation.outputs import Attribution

log = logging.getLogger(__name__)

_VERSIONED = ("scizoo", "torch", "lightning", "transformers", "peft", "scikit-learn", "numpy", "optuna")


def describe(data: TaskData) -> None:
    """Say what was read and how it was split."""
    counts = data.counts()
    parts = ", ".join(
        f"{part} {count['records']:,} records of {count['groups']:,} groups" for part, count in counts.items()
    )
    log.info("%s: %s (split %s)", data.dataset.name, parts, data.split.method)


def domain_of(cfg: Mapping[str, Any]) -> Domain | None:
    """Give the domain of a config's task; None where it is not installed."""
    task = dict(cfg.get("task") or {})
    return plugins.domains().get(str(task.get("domain") or "").partition("/")[0])


def data_section(dataset: Dataset, split: str, parts: Mapping[str, Any], fingerprint: str) -> dict[str, Any]:
    """Say what was judged and how it was split."""
    terms = dataset.licence
    return {
        "name": portable(dataset.name),
        "licence": terms.name,
        "citation": dataset.citation,
        "split": split,
        "parts": parts,
        "fingerprint": fingerprint,
        "rejected": len(dataset.rejections.rejected),
    }


def reproduce_section(cfg: Mapping[str, Any], run_dir: Path, seeds: Iterable[int]) -> dict[str, Any]:
    """Give the command, seeds, versions and config."""
    command = run_dir / "command.txt"
    words = command.read_text(encoding="utf-8").strip() if command.exists() else ""
    domain = str((cfg.get("task") or {}).get("domain") or "")
    return {
        "command": portable_text(words),
        "seeds": sorted(set(seeds)),
        "versions": _versions() | ({f"scizoo-{domain}": plugins.version(domain)} if domain else {}),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "config": portable({key: value for key, value in cfg.items() if value is not None}),
    }


def draw_pictures(
    domain: Domain | None,
    shown: Iterable[tuple[dict[str, Any], Record, Any]],
    attributions: Mapping[str, Attribution] | None = None,
) -> None:
    """Let the domain draw records into report entries; a picture that fails does not lose the report.

    Parameters
    ----------
    domain : Domain or None
    shown : iterable of (dict, Record, Any)
        The entry that gets a ``picture``, the record, and what was predicted for it, if anything. An entry
        whose picture has attributions names under ``explained`` what they explain.
    attributions : mapping of str to Attribution, optional
        What a network used of some of the records, by id.
    """
    if domain is None or not domain.picture:
        return
    draw = get_class(domain.picture, key=f"the picture of {domain.name}")
    for entry, record, prediction in shown:
        said = as_said(prediction)
        found = (attributions or {}).get(record.id)
        if found is not None:
            given = {"value": said, "attributions": found.units, "output": found.output}
            try:
                entry["picture"] = picture(draw, record, given)
                entry["explained"] = found.output
                continue
            except Exception as error:  # a plugin's drawing may fail in any way
                log.warning(
                    "record '%s' is drawn without attributions: %s: %s",
                    record.id,
                    type(error).__name__,
                    error,
                )
        try:
            entry["picture"] = picture(draw, record, said)
        except Exception as error:  # likewise
            log.warning("record '%s' could not be drawn: %s: %s", record.id, type(error).__name__, error)


def as_said(prediction: Any) -> Any:
    """Give a predicted value as a person would say it: rounded, and several of them in one line."""
    if isinstance(prediction, float):
        return float(f"{prediction:.4g}")
    if isinstance(prediction, list | tuple):
        values = [as_said(value) for value in prediction]
        return values[0] if len(values) == 1 else ", ".join(map(str, values))
    return prediction


def picture(draw: Any, record: Record, prediction: Any) -> str:
    """Draw a record as a data URI of a PNG file.

    Parameters
    ----------
    draw : callable
        ``draw(axes, record, prediction)`` of a domain.
    record : Record
    prediction : Any
        In words or as a number; of a forecast a mapping with ``median`` [H], ``quantiles`` [H][Q] and
        ``levels``; of a segmentation the predicted map, with the values and the size of the record's own.
        Where it is known what a network used of the record, a mapping with the prediction under ``value``,
        ``attributions`` as the tokenizer's ``attribute`` gives them, and under ``output`` the class, label or
        value that they explain; see :func:`scizoo.evaluation.colouring.explained`.

    Returns
    -------
    str
        ``data:image/png;base64,...``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.4), dpi=110, layout="constrained")
    draw(figure.subplots(), record, prediction)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
