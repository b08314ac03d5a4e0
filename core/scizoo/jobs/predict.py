"""``scizoo predict TASK``: a table of predictions for a file of records."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scizoo.api import load
from scizoo.config import instantiate, to_plain
from scizoo.data.documents import RETRIEVAL
from scizoo.data.records import write_rejected
from scizoo.data.task import open_dataset, read_documents, read_records
from scizoo.errors import ConfigError
from scizoo.evaluation.uncertainty import check_coverage, highest_coverage
from scizoo.files import atomic_path
from scizoo.jobs.kinds import need_labels

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from scizoo.api import Model

log = logging.getLogger(__name__)

_WORDS = {True: "true", False: "false"}  # as other tools read them, not as Python writes them


def run(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Predict every record and write ``predictions.csv``.

    A task may name a ``predictor`` of its own: ``predict(model)`` gives the table, and ``rejections``
    logs the records that were left out. Of retrieval there is a row a query and document found. Of forecasts
    there is a row a record and step ahead; a dataset with a method ``future_index(record, steps)`` names them
    by columns of its own, such as times.

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
