"""What a network used of the records it got most wrong, for the pictures of a report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scizoo.data.batching import PadCollator
from scizoo.data.encoding import EncodedDataset
from scizoo.data.records import Record
from scizoo.data.tokenizer import Tokenizer
from scizoo.evaluation.outputs import Attribution, Outputs
from scizoo.evaluation.worst import mistakes_shown, worst_rows
from scizoo.models.attribution import explains, integrated_gradients
from scizoo.training.joint import batch_to

log = logging.getLogger(__name__)

_KEPT = 12  # records at most, however many mistakes are shown
_POOR = 0.2  # share of the scores that may lack; where more does, nothing is drawn
_MOST_WINDOWS = 8  # of one record: a long one is looked at from its beginning


def attributions_wanted(cfg: Mapping[str, Any]) -> int:
    """Give of how many records a plain config wants attributions: 0 where ``evaluation.attributions`` is off.

    A study with several seeds and label budgets shows mistakes of the first seed with the most labels alone;
    see :func:`shown_in_study`.
    """
    wanted = dict(cfg.get("evaluation") or {}).get("attributions", True)
    return min(_KEPT, mistakes_shown(cfg)) if wanted else 0


def shown_in_study(cfg: Mapping[str, Any], seed: int, labels: int, available: int) -> bool:
    """Whether a report may show mistakes of a training with this seed and so many of the available labels."""
    seeds = [int(one) for one in cfg.get("seeds") or [seed]]
    budgets = [
        available if one in ("all", None) else min(int(one), available)
        for one in cfg.get("labels") or ["all"]
    ]
    return seed == seeds[0] and labels >= max(budgets)


def attribute_worst(
    outputs: Outputs,
    backbone: Any,
    head: Any,
    tokenizer: Tokenizer,
    encoded: Any,
    rows: np.ndarray,
    records: Sequence[Record],
    most: int,
) -> dict[str, Attribution]:
    """Explain the predictions on which a network was wrong with most confidence.

    The predicted class is explained, the label that is furthest off, or the value with the largest error.
    What fails costs no more than the colours of a picture: it is told in the log.

    Parameters
    ----------
    outputs : Outputs
        Of these records.
    backbone, head, tokenizer
        Of the network.
    encoded : EncodedDataset
    rows : ndarray of int
        Of the records in ``encoded``.
    records : sequence of Record
    most : int
        How many records at most.

    Returns
    -------
    dict of str to Attribution
        By id; empty where the network or its tokenizer cannot say.
    """
    if outputs.kind not in ("classification", "multilabel", "regression") or most < 1:
        return {}
    if type(tokenizer).attribute is Tokenizer.attribute or not explains(backbone, head):
        return {}
    found: dict[str, Attribution] = {}
    for place, column in zip(*worst_rows(outputs, most), strict=True):
        record = records[place]
        try:
            scores = record_scores(backbone, head, tokenizer, encoded, int(rows[place]), int(column))
            units = None if scores is None else tokenizer.attribute(record.input, scores)
        except Exception as error:  # a plugin's code, or an architecture of a library, may fail in any way
            log.warning("record '%s' has no attributions: %s: %s", record.id, type(error).__name__, error)
            continue
        if units is None:
            continue
        values = dict(units) if isinstance(units, Mapping) else {"": units}
        name = outputs.classes[column] if outputs.classes else str(column)
        found[record.id] = Attribution(name, {key: _compact(value) for key, value in values.items()})
    return found


def record_scores(
    backbone: Any, head: Any, tokenizer: Tokenizer, encoded: EncodedDataset, row: int, output: int
) -> np.ndarray | None:
    """Explain an output for one record, as the mean over its windows that a prediction is.

    Of several views the plain input is explained. Where windows overlap, their shares are added up.

    Parameters
    ----------
    backbone, head, tokenizer
        Of the network.
    encoded : EncodedDataset
    row : int
        Of the record.
    output : int
        Number of the class, label or quantity.

    Returns
    -------
    ndarray of float64, shape (positions, ...), or None
        NaN at positions of windows that were not looked at; None where the scores do not add up.
    """
    windows = encoded.windows_of(np.array([row]))
    windows = windows[encoded.view_index[windows] == 0]
    pieces = [encoded.window(int(number)) for number in windows]
    size = max(piece.start + piece.length for piece in pieces)
    before, after = int(encoded.context.add_cls), int(encoded.context.add_sep)
    collate = PadCollator(_main_first(encoded))
    place = next(iter(backbone.parameters())).device
    head.to(place)  # a probe's may have predicted elsewhere, from features
    total: np.ndarray | None = None
    for number, piece in list(zip(windows, pieces, strict=True))[:_MOST_WINDOWS]:
        batch = batch_to(collate([encoded[int(number)]]), place)
        mask_id = getattr(tokenizer, "mask_id", None)
        found = integrated_gradients(backbone, head, batch, output, mask_id=mask_id, kept=(before, after))
        if found.gap > _POOR or not np.isfinite(found.scores).all():
            name = encoded.record_ids()[row]
            log.info("record '%s': attributions do not add up (%.0f%% lack)", name, 100 * found.gap)
            return None
        scores = found.scores[before : before + piece.length] / len(windows)
        if total is None:
            total = np.full((size, *scores.shape[1:]), np.nan)
        within = slice(piece.start, piece.start + piece.length)
        total[within] = np.where(np.isnan(total[within]), 0.0, total[within]) + scores
    return total


def _main_first(encoded: EncodedDataset) -> dict[str, int]:
    pads = encoded.pad_values
    return {encoded.main_input: pads[encoded.main_input], **pads}


def _compact(value: Any) -> np.ndarray:
    """Half the room: a picture needs no more digits."""
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array
