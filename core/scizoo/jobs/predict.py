"""``scizoo predict TASK``: a table of predictions for a file of records."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.api import load
from scizoo.config import instantiate, to_plain
from scizoo.data.documents import RETRIEVAL
from scizoo.data.maps import MapTarget, spacing_of
from scizoo.data.records import write_rejected
from scizoo.data.task import open_dataset, read_documents, read_records
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.uncertainty import check_coverage, highest_coverage
from scizoo.files import atomic_path
from scizoo.jobs.kinds import need_labels

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from scizoo.api import Model
    from scizoo.data.records import Record

log = logging.getLogger(__name__)

_WORDS = {True: "true", False: "false"}  # as other tools read them, not as Python writes them


def run(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Predict every record and write ``predictions.csv``.

    A task may name a ``predictor`` of its own: ``predict(model)`` gives the table, and ``rejections``
    logs the records that were left out. Of label maps there is a file for each record; of retrieval a row a
    query and document found; of forecasts a row a record and step ahead; a dataset with a method
    ``future_index(record, steps)`` names them by columns of its own, such as times.

    Parameters
    ----------
    cfg : DictConfig
        A composed config.
    run_dir : Path

    Returns
    -------
    dict
        How many rows were written, and where.
    """
    plain = to_plain(cfg)
    need_labels(plain, "predict")
    coverage = plain.get("coverage")
    if coverage is not None:  # before anything is loaded
        check_coverage(coverage)
    model = open_model(plain)
    if plain.get("predictor"):
        predictor = instantiate(plain["predictor"])
        table = predictor.predict(model)
        if predictor.rejections.rejected:
            write_rejected(run_dir / "rejected.csv", predictor.rejections)
    elif model.kind == RETRIEVAL:
        table = found_documents(plain, model, run_dir)
    else:
        dataset = open_dataset(plain)
        records = read_records(dataset, run_dir)
        if model.kind == "segmentation":
            return write_maps(model, records, run_dir, plain)
        ahead: dict[str, Any] = {key: plain.get(key) for key in ("horizon", "levels")}
        if model.kind == "forecast":  # the data know what the steps ahead are called
            ahead["index"] = getattr(dataset, "future_index", None)
        table = model.predict_df(
            records,
            batch_size=int(plain["batching"].get("eval_batch_size") or 64),
            coverage=usable_coverage(model, coverage),
            **ahead,
        )
    path = write_table(run_dir / str(plain.get("output") or "predictions.csv"), table)
    log.info("%d predictions in %s", len(table), path)
    return {"predictions": str(path), "rows": len(table)}


def write_maps(
    model: Model, records: Sequence[Record], run_dir: Path, cfg: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the predicted label map of each record as a PNG file, and a table of how large each class is.

    Parameters
    ----------
    model : Model
    records : sequence of Record
    run_dir : Path
        Gets ``maps/NAME.png``, with the values that the label maps of the training had, and the table:
        ``id``, ``file``, ``pixels_<class>``, and ``area_<class>`` in squared units where pixels have a known
        size.
    cfg : mapping

    Returns
    -------
    dict
        How many rows were written, and where.
    """
    import pandas as pd

    target = model.checkpoint.target
    assert isinstance(target, MapTarget)
    names = file_names([record.id for record in records])
    size = int(cfg["batching"].get("eval_batch_size") or 16)
    rows: list[dict[str, Any]] = []
    for record, name, labels in zip(records, names, model.segment(records, size), strict=True):
        write_map(run_dir / "maps" / f"{name}.png", labels)
        row: dict[str, Any] = {"id": record.id, "file": f"maps/{name}.png"}
        spacing = spacing_of(record)
        for title, value in zip(target.classes, target.values, strict=True):
            count = int((labels == value).sum())
            row[f"pixels_{title}"] = count
            if spacing is not None:
                row[f"area_{title}"] = count * spacing[0] * spacing[1]
        rows.append(row)
    table = pd.DataFrame(rows)
    path = write_table(run_dir / str(cfg.get("output") or "predictions.csv"), table)
    log.info("%d label maps in %s, a table of them in %s", len(rows), run_dir / "maps", path)
    return {"predictions": str(path), "rows": len(rows), "maps": str(run_dir / "maps")}


def write_map(path: Path, labels: np.ndarray) -> None:
    """Write a label map as a PNG file of 8 or 16 bits, whole or not at all.

    Raises
    ------
    DataError
        When a value does not fit into 16 bits.
    """
    from PIL import Image

    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > 65535:
        raise DataError(
            f"{path.name}: the value {low if low < 0 else high} of a class does not fit into a PNG file.",
            expected="values from 0 to 65535",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        picture = Image.fromarray(labels.astype(np.uint8 if high < 256 else np.uint16))
        picture.save(temporary, format="PNG")


def file_names(ids: Sequence[str]) -> list[str]:
    """Give a sound, different file name for each id."""
    taken: set[str] = set()
    found = []
    for id in ids:
        base = re.sub(r"[^A-Za-z0-9._-]+", "_", id).strip(".") or "record"
        name, number = base[:120], 1
        while name.casefold() in taken:
            number += 1
            name = f"{base[:120]}-{number}"
        taken.add(name.casefold())
        found.append(name)
    return found


def found_documents(cfg: dict[str, Any], model: Model, run_dir: Path) -> pd.DataFrame:
    """Search a pool for the documents of each query.

    The pool is what ``pool`` names, read as the data of the task are, or else the documents of these data
    themselves.

    Raises
    ------
    DataError
        When there is no document.
    """
    pool = cfg.get("pool")
    dataset = open_dataset(cfg if pool is None else {**cfg, "data": {**(cfg["data"] or {}), "path": pool}})
    documents = read_documents(dataset, run_dir if pool is None else None)
    data = dict(cfg["data"] or {})
    if pool is not None and "target" in data:  # a file of queries need not hold documents
        data["target"] = None
    queries = read_records(open_dataset({**cfg, "data": data}), run_dir)
    size = int(cfg["batching"].get("eval_batch_size") or 64)
    return model.search(queries, documents, k=int(cfg.get("top") or 10), batch_size=size).to_frame()


def usable_coverage(model: Model, coverage: float | None) -> float | None:
    """Say once where a checkpoint cannot give sets or intervals of this coverage, and why."""
    state = model.checkpoint.uncertainty
    if coverage is None or model.kind == "forecast":  # quantiles say as much
        return None
    if state is None:
        log.warning(
            "%s keeps no calibration: predictions are written without sets, intervals and "
            "out-of-distribution flags.",
            model.name,
        )
        return None
    most = highest_coverage(state)
    if coverage > most:
        log.warning(
            "coverage=%g cannot be promised by %d validation records (at most %.4g): sets hold every "
            "class, intervals have no end.",
            coverage,
            state.settings["records"],
            most,
        )
    return coverage


def open_model(cfg: dict[str, Any]) -> Model:
    """Open the checkpoint that a config names."""
    if not cfg.get("checkpoint"):
        raise ConfigError(
            "checkpoint must be given.",
            expected="a fine-tuned model: a name, path or URL",
            remedy="add checkpoint=RUN_DIRECTORY/checkpoint; `scizoo list checkpoints` shows what there is.",
        )
    return load(str(cfg["checkpoint"]))


def write_table(path: Path, table: pd.DataFrame) -> Path:
    """Write a table as CSV or Parquet, by the name of the file, whole or not at all."""
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"output={path.name} has no known ending.", expected=".csv or .parquet")
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            words = {str(name): column.map(_WORDS) for name, column in table.select_dtypes("bool").items()}
            table.assign(**words).to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)
    return path
