"""``scizoo embed TASK``: one vector a record, from any checkpoint."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet

from scizoo.config import to_plain
from scizoo.data.task import open_dataset, read_documents, read_records
from scizoo.files import atomic_path
from scizoo.jobs.predict import open_model

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)


def run(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Embed every record and write ``embeddings.parquet``: columns id and embedding (float32).

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
    model = open_model(plain)
    side = plain.get("side")
    dataset = open_dataset(plain)
    records = read_documents(dataset, run_dir) if side == "document" else read_records(dataset, run_dir)
    size = int(plain["batching"].get("eval_batch_size") or 64)
    vectors = model.embed(records, batch_size=size, side=None if side is None else str(side))  # type: ignore[arg-type]
    width = vectors.shape[1]
    table = pa.table(
        {
            "id": pa.array([record.id for record in records]),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width),
        }
    )
    path = run_dir / "embeddings.parquet"
    with atomic_path(path) as temporary:
        pa.parquet.write_table(table, temporary)
    log.info("%d embeddings of %d numbers in %s", len(records), width, path)
    return {"embeddings": str(path), "rows": len(records), "dimension": width}
