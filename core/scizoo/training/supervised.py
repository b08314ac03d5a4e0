"""Fine-tuning: a backbone and a head fitted to the training part of a task."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scizoo.checkpoints.adapters import has_adapters
from scizoo.data.cache import cache_key
from scizoo.data.documents import PairedDataset, check_batch, documents_of, identities
from scizoo.data.encoding import EncodedDataset, encode_records
from scizoo.data.maps import LabelMaps
from scizoo.data.module import DataModule, Targets
from scizoo.data.planes import LabelPlanes, label_planes
from scizoo.data.records import Record
from scizoo.data.splits import Split
from scizoo.data.task import TaskData
from scizoo.models.backbones import Backbone
from scizoo.models.heads import Head
from scizoo.models.retrieval import SIDES, DualEncoder, RetrievalHead, SideFeatures
from scizoo.training.adapt import AdaptReport, apply_adapt, merge_lora
from scizoo.training.build import ModelParts, build_head, zero_shot_head
from scizoo.training.features import FeatureBackbone, FeatureDataset, cached_features, can_cache
from scizoo.training.joint import JointModel
from scizoo.training.module import ScizooModule
from scizoo.training.pairs import embed_side, pair_features
from scizoo.training.predict import aggregate, mean_pool, predict_windows
from scizoo.training.trainer import build_trainer, fit, monitored_metric, resolve_precision

log = logging.getLogger(__name__)


@dataclass
class Fitted:
    """A fitted model and how it came to be.

    Parameters
    ----------
    backbone : Backbone
    head : Head
    adapt : AdaptReport
    seconds : float
        Wall-clock time of the fit.
    steps : int
        Optimizer steps taken.
    validation : float or None
        The monitored metric of the weights that were kept.
    precision : str
        As Lightning names it; predictions are made under the same.
    features : FeatureDataset or None
        Of every window, where the backbone stayed frozen; predictions need no more than the head then.
    """

    backbone: Backbone
    head: Head
    adapt: AdaptReport
    seconds: float
    steps: int
    validation: float | None
    precision: str
    features: FeatureDataset | PairedDataset | None = None


def encode_task(
    parts: ModelParts,
    records: Sequence[Record],
    *,
    fingerprint: str,
    cache: Path | None,
    groups: Sequence[Any] | np.ndarray | None = None,
) -> EncodedDataset | PairedDataset:
    """Encode the records of a task, all views of each, through the cache; of retrieval the documents too.

    Parameters
    ----------
    parts : ModelParts
    records : sequence of Record
    fingerprint : str
        Of the dataset that they came from.
    cache : Path or None
        The folder of all caches; None keeps the tokens in memory.
    groups : sequence, optional
        Group of each record, which pairs of one batch may share; their own by default.
    """
    augment = parts.augment
    key = cache_key(fingerprint, parts.tokenizer.fingerprint(), augment.fingerprint() if augment else "")
    encoded = encode_records(
        records,
        parts.tokenizer,
        context=parts.context,
        views=augment,
        cache=cache,
        key=key,
    )
    second = parts.document
    if second is None:
        return encoded
    documents = encode_records(
        documents_of(records),
        second.tokenizer,
        context=second.context,
        cache=cache,
        key=cache_key(f"{fingerprint}, documents", second.tokenizer.fingerprint(), ""),
    )
    own = [record.id if record.group is None else record.group for record in records]
    return PairedDataset(encoded, documents, identities(records, own if groups is None else groups))


def fit_task(
    cfg: Mapping[str, Any],
    parts: ModelParts,
    data: TaskData,
    encoded: EncodedDataset | PairedDataset,
    *,
    run_dir: Path,
    rows: np.ndarray | None = None,
    seed: int = 0,
    title: str = "fine-tuning",
    features: Path | None = None,
    features_key: str = "",
) -> Fitted:
    """Fit a head, and as much of the backbone as ``adapt`` says, to the training part.

    Parameters
    ----------
    cfg : mapping
        A composed config; read are ``adapt``, ``head``, ``batching``, ``optimizer``, ``schedule``,
        ``trainer``, ``precision``, ``logger``, ``callbacks`` and ``task``.
    parts : ModelParts
        Its backbone is trained in place.
    data : TaskData
    encoded : EncodedDataset
        Every record of the task, from :func:`encode_task`.
    run_dir : Path
        Checkpoints and logs go here.
    rows : ndarray, optional
        Training records to use; by default all.
    seed : int
        Of weights, order, masks and dropout.
    title : str
        For the progress display.
    features : Path, optional
        Where a probe keeps its frozen features; by default in the run directory.
    features_key : str
        Identifies the encoded records, so that kept features can be opened again.

    Returns
    -------
    Fitted
        With the weights that were best on validation; LoRA is merged unless ``adapt.merge`` is false. With
        ``adapt=none`` the checkpoint's own head predicts, and nothing is trained.

    Raises
    ------
    TrainingError
        When the loss diverges.
    """
    start = time.monotonic()
    split = data.split if rows is None else replace(data.split, train=np.asarray(rows))
    torch.manual_seed(seed)
    accelerator = str((cfg.get("trainer") or {}).get("accelerator") or "auto")
    precision = resolve_precision(cfg.get("precision"), accelerator)
    untrained = str(cfg["adapt"].get("mode")) == "none"
    trained = parts.trained
    head = zero_shot_head(parts, data.target) if untrained else build_head(cfg, trained, data.target)
    report = apply_adapt(trained, cfg["adapt"], seed=seed)
    log.info("%s", report)
    if untrained:
        seconds = time.monotonic() - start
        return Fitted(trained.eval(), head.eval(), report, seconds, 0, None, precision)
    if isinstance(encoded, PairedDataset):
        check_batch(cfg["batching"])
    own = None if parts.checkpoint is None else parts.checkpoint.head
    if own is not None and report.mode != "scratch" and head.inherit(own):
        log.info("the head begins from the checkpoint's own")
    backbone: Any = trained
    source: Any = encoded
    fixed = can_cache(head) and (
        not isinstance(head, RetrievalHead) or can_cache(SideFeatures(head, "document"))
    )
    if report.mode == "probe" and cfg["adapt"].get("cache_features", True) and fixed:
        options: dict[str, Any] = {
            "folder": features or run_dir / "features",
            "batch_size": int(cfg["batching"].get("eval_batch_size") or 64),
            "precision": precision,
        }
        if isinstance(encoded, PairedDataset) and isinstance(head, RetrievalHead):
            source, backbone = pair_features(trained, head, encoded, key=features_key, **options)
        else:
            source = cached_features(trained, head, encoded, key=features_key, **options)
            backbone = FeatureBackbone(trained.hidden_size)
    module = ScizooModule(
        backbone,
        head,
        optimizer=cfg["optimizer"],
        schedule=cfg["schedule"],
        seed=seed,
        outputs=data.target.outputs,
        target_scale=getattr(data.target, "std", None),
    )
    trainer = build_trainer(
        cfg,
        run_dir,
        monitor=monitored_metric(cfg),
        title=title,
        record_names=lambda windows: _names(encoded, windows),
    )
    ends = data.target.kind == "forecast"
    targets: Any = data.targets
    if isinstance(targets, LabelMaps):
        used = np.unique(np.concatenate([split.train, split.validation]))
        targets = label_planes(
            targets, data.records, parts.tokenizer, rows=used, augment=parts.augment, folder=run_dir
        )
    fit(trainer, module, data_module(cfg, parts, source, targets, split, seed=seed, last_windows=ends))
    if has_adapters(trained) and cfg["adapt"].get("merge", True):
        merge_lora(trained)
    best = module.best or {}
    return Fitted(
        backbone=trained.eval(),
        head=head.eval(),
        adapt=report,
        seconds=time.monotonic() - start,
        steps=trainer.global_step,
        validation=best.get("value"),
        precision=precision,
        features=source if source is not encoded else None,
    )


def data_module(
    cfg: Mapping[str, Any],
    parts: ModelParts,
    encoded: Any,
    targets: Targets | None,
    split: Split | None,
    *,
    seed: int,
    last_windows: bool = False,
    first_views: bool = False,
) -> DataModule:
    """Build the loaders of a run from the ``batching`` group.

    With ``last_windows`` of each record only the last window is used, which a forecast goes on from; with
    ``first_views`` only the input itself is predicted, since label maps of other views would lie elsewhere.
    """
    first_views = first_views or isinstance(targets, LabelPlanes)
    batching = cfg["batching"]
    return DataModule(
        encoded,
        targets,
        split,
        batch_size=batching.get("batch_size"),
        tokens_per_batch=batching.get("tokens_per_batch"),
        eval_batch_size=batching.get("eval_batch_size"),
        packing=bool(batching.get("packing")),
        workers=int(batching.get("num_workers") or 0),
        seed=seed,
        train_views=parts.augment is None or parts.augment.train,
        predict_views=not first_views and (parts.augment is None or parts.augment.predict),
        last_windows=last_windows,
    )


def predict_task(
    fitted: Fitted,
    cfg: Mapping[str, Any],
    parts: ModelParts,
    encoded: EncodedDataset | PairedDataset,
    rows: np.ndarray,
    *,
    embeddings: bool = False,
) -> dict[str, np.ndarray]:
    """Predict some records: the mean over their windows and views.

    Parameters
    ----------
    fitted : Fitted
    cfg : mapping
        Read is ``batching``.
    parts : ModelParts
    encoded : EncodedDataset
    rows : ndarray
        Positions of the records.
    embeddings : bool
        Whether to give ``embedding`` too, the pooled states that the head sees.

    Returns
    -------
    dict of str to ndarray
        ``probability``, or ``mean`` and ``variance`` in standardised units, or ``quantiles`` in the series'
        own units; of retrieval ``query`` and ``document``, vectors of length 1. A row a record.
    """
    if isinstance(encoded, PairedDataset):
        return _embed_pairs(fitted, cfg, encoded, rows)
    none = np.empty(0, dtype=np.int64)
    split = Split(none, none, np.asarray(rows), np.empty(0, dtype=object), "prediction")
    backbone: Any = fitted.backbone
    source: Any = encoded
    if fitted.features is not None and not embeddings:
        backbone, source = FeatureBackbone(fitted.backbone.hidden_size), fitted.features
    ends = fitted.head.kind == "forecast"
    loader = data_module(cfg, parts, source, None, split, seed=0, last_windows=ends).test_dataloader()
    model = JointModel(backbone, fitted.head)
    pool = getattr(fitted.head, "features", mean_pool) if embeddings else None
    windows = predict_windows(model, loader, precision=fitted.precision, pool=pool)
    return aggregate(windows, encoded.record_index, rows)


def _embed_pairs(
    fitted: Fitted, cfg: Mapping[str, Any], encoded: PairedDataset, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Embed queries and documents of some records into the common space."""
    assert isinstance(fitted.head, RetrievalHead)
    source: Any = encoded
    backbone: Any = fitted.backbone
    if isinstance(fitted.features, PairedDataset):
        source = fitted.features
        backbone = DualEncoder(*(FeatureBackbone(getattr(backbone, side).hidden_size) for side in SIDES))
    size = int(cfg["batching"].get("eval_batch_size") or 64)
    options: dict[str, Any] = {"rows": np.asarray(rows), "batch_size": size, "precision": fitted.precision}
    return {
        side: embed_side(getattr(backbone, side), fitted.head, getattr(source, side), side, **options)
        for side in SIDES
    }


def _names(encoded: EncodedDataset | PairedDataset, windows: Sequence[int]) -> list[str]:
    records = encoded.store.records
    return [records.id(int(encoded.record_index[window])) for window in windows]
