"""The Python face: ``scizoo.load(ref)`` gives a model that embeds, predicts, scores and generates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scizoo.checkpoints.format import Checkpoint, load_checkpoint
from scizoo.data.batching import PadCollator
from scizoo.data.encoding import EncodedDataset, encode_records
from scizoo.data.records import Record
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import DataError, ScizooError, did_you_mean
from scizoo.models.objectives import CausalLM, LanguageObjective, Objective
from scizoo.models.pooling import build_pool
from scizoo.predictions import Prediction, class_names, to_frame
from scizoo.training.predict import aggregate, embed_windows, join_positions, mean_pool, predict_windows

if TYPE_CHECKING:
    import pandas as pd

    from scizoo.checkpoints.uncertainty import UncertaintyState
    from scizoo.transformer import EmbeddingTransformer

POOLS = ("mean", "cls", "max")


def load(ref: str | Path, device: str = "auto") -> Model:
    """Load a checkpoint.

    Parameters
    ----------
    ref : str or Path
        A name (``genomics/dna-tiny``; :func:`scizoo.list_checkpoints` lists them), a path, or a URL
        (``hf://org/name``, ``s3://...``, ``file://...``).
    device : str
        ``auto`` (the first GPU there is, else the CPU) or what torch calls it: ``cpu``, ``cuda:1``.

    Returns
    -------
    Model

    Raises
    ------
    CheckpointError
        When there is no such checkpoint, or it is damaged, unsafe or of a newer format.
    """
    return Model(load_checkpoint(ref), ref=str(ref), device=device)


class Model:
    """A loaded checkpoint; :func:`load` makes it.

    Inputs are always the field's own objects (for sequences: str), or Records. Whatever is longer
    than the context is cut into windows and averaged, or refused, as the checkpoint says. Where it
    was trained with several views of an input, outputs are averaged over them.

    Attributes
    ----------
    checkpoint : Checkpoint
        Its parts: backbone, head, tokenizer, target encoder, context, manifest.
    ref : str
        What it was loaded by.
    device : torch.device
        Where it runs.
    """

    def __init__(self, checkpoint: Checkpoint, *, ref: str | None = None, device: str = "auto"):
        self.checkpoint = checkpoint
        self.ref = ref if ref is not None else str(checkpoint.path)
        self.device = _device(device)
        checkpoint.to(self.device)

    def __repr__(self) -> str:
        return f"<scizoo model {self.name} ({self.kind}) on {self.device}>"

    @property
    def name(self) -> str:
        """The checkpoint's own name."""
        return self.checkpoint.manifest.name

    @property
    def kind(self) -> str:
        """classification, multilabel, regression, tokens, language or embedding."""
        return self.checkpoint.kind

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self.checkpoint.backbone.hidden_size

    @property
    def classes(self) -> list[str]:
        """The classes or labels in the order of the probabilities, or the names of the quantities."""
        return class_names(self.checkpoint.target)

    def embed(self, inputs: Iterable[Any], batch_size: int = 64, pool: str = "mean") -> np.ndarray:
        """Compute one vector an input.

        Parameters
        ----------
        inputs : iterable
            Raw inputs or Records.
        batch_size : int
            Windows a forward pass.
        pool : {"mean", "cls", "max"}
            How the states of a window's positions become one vector. Windows and views of an input
            are averaged.

        Returns
        -------
        ndarray of float32, shape (inputs, dimension)

        Raises
        ------
        DataError
            When an input cannot be encoded, naming it.
        """
        if pool not in POOLS:
            raise ScizooError(f"pool='{pool}' is unknown: {did_you_mean(pool, POOLS)}")
        records = _records(inputs)
        if not records:
            return np.empty((0, self.dimension), dtype=np.float32)
        encoded = self._encode(records)
        windows = embed_windows(
            self.checkpoint,
            _batches(encoded, batch_size),
            pool=build_pool(pool, self.dimension),
            device=self.device,
        )
        return aggregate(windows, encoded.record_index)["embedding"].astype(np.float32)

    def predict(
        self, inputs: Iterable[Any], batch_size: int = 64, coverage: float | None = None
    ) -> Prediction:
        """Predict each input.

        Parameters
        ----------
        inputs : iterable
            Raw inputs or Records.
        batch_size : int
            Windows a forward pass.
        coverage : float, optional
            How often sets of classes, or intervals, shall hold the truth, such as 0.9. With it the
            prediction is calibrated and has ``sets``, or ``lower`` and ``upper``, and ``ood_score`` and
            ``ood``. The promise holds for inputs like the validation records of the training.

        Returns
        -------
        Prediction
            With the fields that fit the model's kind: ``labels`` and ``probability`` (inputs, classes)
            for classes; ``mean`` and ``std`` (inputs, quantities), in the units of the training data,
            for quantities.

        Raises
        ------
        ConfigError
            When the coverage does not lie between 0 and 1.
        ScizooError
            When the model only embeds or models sequences, or a coverage is asked of a checkpoint that
            keeps nothing to give it.
        DataError
            When an input cannot be encoded, naming it.
        """
        head = self.checkpoint.head
        if head is None or isinstance(head, Objective):
            raise ScizooError(
                f"{self.name} cannot predict: it is a pre-trained model without a task.",
                expected="a checkpoint that was fine-tuned",
                remedy=f"fine-tune it (scizoo finetune DOMAIN/TASK checkpoint={self.ref}), or use embed().",
            )
        state = None if coverage is None else self._uncertainty(coverage)
        records = _records(inputs)
        encoded = self._encode(records) if records else None
        if encoded is None:
            nothing = Prediction.empty(self.kind, self.classes, head.outputs)
            if state is None or coverage is None:
                return nothing
            return nothing.with_uncertainty(state, np.empty((0, self.dimension)), coverage)
        windows = predict_windows(
            self.checkpoint,
            _batches(encoded, batch_size),
            device=self.device,
            pool=None if state is None else getattr(head, "features", mean_pool),
        )
        ids = [record.id for record in records]
        if self.kind == "tokens":
            joined = _joined(windows["probability"], encoded, len(ids))
            return Prediction.of_positions(joined, ids, self.classes)
        # Quantiles have two axes a window and come as a list of equal arrays.
        stacked = {
            key: np.stack(value) if isinstance(value, list) else value for key, value in windows.items()
        }
        means = aggregate(stacked, encoded.record_index)
        made = Prediction.of_records(
            self.kind, ids, means, target=self.checkpoint.target, levels=getattr(head, "quantiles", ())
        )
        if state is None or coverage is None:
            return made
        return made.with_uncertainty(state, means["embedding"], coverage)

    def _uncertainty(self, coverage: float) -> UncertaintyState:
        from scizoo.evaluation.uncertainty import check_coverage

        check_coverage(coverage)
        if self.checkpoint.uncertainty is None:
            raise ScizooError(
                f"{self.name} keeps nothing to make sets or intervals with.",
                expected="a checkpoint that was fine-tuned with 20 validation records or more",
                remedy="predict without coverage, or fine-tune it again.",
            )
        return self.checkpoint.uncertainty

    def predict_df(
        self,
        inputs: Iterable[Any] | pd.DataFrame,
        input: str | None = None,
        batch_size: int = 64,
        coverage: float | None = None,
    ) -> pd.DataFrame:
        """Predict into a table.

        Parameters
        ----------
        inputs : iterable or DataFrame
            Raw inputs or Records; or a table, of which `input` names the column. The index of a table
            is kept, and a column ``id`` in it.
        input : str, optional
            The column of raw inputs; not needed for a table of one column.
        batch_size : int
            Windows a forward pass.
        coverage : float, optional
            As for :meth:`predict`.

        Returns
        -------
        DataFrame
            Column ``id``; for classes ``prediction`` and one ``probability_<class>`` a class; for
            quantities ``mean`` and ``std`` (``mean_<name>`` and ``std_<name>`` where there are several).
            With a coverage also ``set`` (labels joined by ``;``, likeliest first) and ``set_size``, or
            ``lower`` and ``upper``; and ``ood_score`` and ``ood``.

        Raises
        ------
        DataError
            When the column does not exist or an input cannot be encoded.
        """
        import pandas as pd

        if not isinstance(inputs, pd.DataFrame):
            return to_frame(self.predict(inputs, batch_size, coverage))
        columns = [str(column) for column in inputs.columns]
        column = input if input is not None or len(columns) != 1 else columns[0]
        if column is None or column not in columns:
            raise DataError(
                f"The table has no column {column!r}." if column else "Which column holds the inputs?",
                expected=f"input=COLUMN, one of {', '.join(columns)}",
                remedy=did_you_mean(column, columns) if column else None,
            )
        ids = inputs["id"] if "id" in columns else inputs.index
        records = [Record(str(id), value) for id, value in zip(ids, inputs[column])]
        frame = to_frame(self.predict(records, batch_size, coverage))
        frame.index = inputs.index
        return frame

    def score(self, inputs: Iterable[Any], batch_size: int = 16) -> np.ndarray:
        """Compute how likely the model finds each input.

        The sum over its tokens: of their log-likelihood given what stands before them (causal models;
        the first token has none), or given all other tokens, masked one at a time (masked models: the
        pseudo-log-likelihood of Salazar et al. 2020, arXiv 1910.14659). A longer input is scored window
        by window without overlap; views are averaged.

        Parameters
        ----------
        inputs : iterable
            Raw inputs or Records.
        batch_size : int
            Windows a forward pass; for masked models, masked copies a pass are four times that.

        Returns
        -------
        ndarray of float64, shape (inputs,)
            In nats; higher is likelier.

        Raises
        ------
        ScizooError
            When the model is no language model.
        """
        from dataclasses import replace

        from scizoo.models.scoring import score_tokens

        head = self._language_head("score")
        records = _records(inputs)
        totals = np.zeros(len(records))
        if not records:
            return totals
        encoded = self._encode(records)
        # Each token once: windows that overlap would count what they share twice.
        once = replace(self.checkpoint.context, stride=None, last_window="partial")
        encoded = encoded.with_context(once)
        views = np.zeros((len(records), encoded.view_count))
        seen = np.zeros_like(views, dtype=bool)
        for batch in _batches(encoded, batch_size):
            moved = {name: value.to(self.device) for name, value in batch.items() if name != "index"}
            tokens = score_tokens(self.checkpoint.backbone, head, moved, batch_size=4 * batch_size)
            sums = tokens.double().nansum(dim=1).cpu().numpy()
            for number, value in zip(batch["index"].tolist(), sums):
                place = encoded.record_index[number], encoded.view_index[number]
                views[place] += value
                seen[place] = True
        return views.sum(axis=1) / seen.sum(axis=1)

    def generate(
        self,
        prompt: Any,
        max_new_tokens: int = 64,
        temperature: float = 1.0,
        top_p: float | None = None,
        seed: int = 0,
        top_k: int | None = None,
    ) -> Any:
        """Continue a prompt.

        Parameters
        ----------
        prompt : Any
            One raw input; a list of them gives a list.
        max_new_tokens : int
            How many tokens to add at most.
        temperature : float
            0 takes the likeliest token each time; higher is more varied.
        top_p : float, optional
            Draw from the likeliest tokens that together reach this probability.
        seed : int
            The same seed gives the same continuation, whatever else is in the list.
        top_k : int, optional
            Draw from this many likeliest tokens only.

        Returns
        -------
        Any
            The prompt and its continuation as one object of the field, or a list of them.

        Raises
        ------
        ScizooError
            When the model is no causal language model.
        """
        if isinstance(prompt, list):
            return [self.generate(one, max_new_tokens, temperature, top_p, seed, top_k) for one in prompt]
        from scizoo.models.generation import generate

        head = self._language_head("generate")
        tokenizer = self.checkpoint.tokenizer
        if not isinstance(head, CausalLM) or not isinstance(tokenizer, TokenTokenizer):
            raise ScizooError(
                f"{self.name} cannot generate: it fills in masked tokens and does not continue.",
                expected="a checkpoint of a causal language model",
                remedy="use score() or embed(), or another checkpoint.",
            )
        ids = np.asarray(tokenizer.encode([prompt])["input_ids"][0], dtype=np.int64)
        context = self.checkpoint.context
        if context.add_cls:
            ids = np.concatenate([[tokenizer.cls_id], ids])
        special = set(range(len(tokenizer.SPECIAL)))
        ends = tokenizer.sep_id if context.add_sep else None
        written = generate(
            self.checkpoint.backbone,
            head,
            torch.from_numpy(ids)[None].to(self.device),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            eos_id=ends,
            pad_id=tokenizer.pad_id,
            forbidden=sorted(special - {ends}),
            generator=torch.Generator().manual_seed(seed),
        )
        return tokenizer.decode(written[0].tolist())

    def as_transformer(self, batch_size: int = 64, pool: str = "mean") -> EmbeddingTransformer:
        """Return :meth:`embed` as a scikit-learn transformer, for a Pipeline.

        Parameters
        ----------
        batch_size, pool
            As for :meth:`embed`.

        Returns
        -------
        EmbeddingTransformer
            Cloned and pickled by the reference this model was loaded by; fitting does nothing.
        """
        from scizoo.transformer import EmbeddingTransformer

        transformer = EmbeddingTransformer(
            self.ref, batch_size=batch_size, pool=pool, device=str(self.device)
        )
        return transformer._with_model(self)

    def transformer(self, batch_size: int = 64, pool: str = "mean") -> EmbeddingTransformer:
        """Return the same as :meth:`as_transformer`."""
        return self.as_transformer(batch_size, pool)

    def _language_head(self, what: str) -> LanguageObjective:
        head = self.checkpoint.head
        if not isinstance(head, LanguageObjective):
            raise ScizooError(
                f"{self.name} cannot {what}: it is no language model (its kind is {self.kind}).",
                expected="a pre-trained checkpoint whose kind is language",
                remedy="`scizoo list checkpoints` shows the kind of each.",
            )
        return head

    def _encode(self, records: Sequence[Record]) -> EncodedDataset:
        part = self.checkpoint
        return encode_records(
            records, part.tokenizer, context=part.context, views=part.views, unique_ids=False
        )


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ScizooError(
            f"device='{wanted}' cannot be used here: {str(error).splitlines()[0]}",
            expected="auto, cpu, or a device that torch sees, such as cuda:0",
        ) from error
    return device


def _records(inputs: Iterable[Any]) -> list[Record]:
    if isinstance(inputs, str | bytes):
        raise DataError(
            "A single text was given where a list of inputs is needed.", remedy="write it as [text]."
        )
    return [
        value if isinstance(value, Record) else Record(str(number), value, source=f"input {number}")
        for number, value in enumerate(inputs)
    ]


def _batches(encoded: EncodedDataset, batch_size: int) -> Iterator[dict[str, torch.Tensor]]:
    """Padded batches of windows of similar length; their order does not matter to the results."""
    if batch_size < 1:
        raise ScizooError(f"batch_size={batch_size} must be at least 1.")
    order = np.argsort(encoded.lengths, kind="stable")
    collate = PadCollator(encoded.pad_values)
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        yield collate([{**encoded[int(number)], "index": np.asarray(number)} for number in numbers])


def _joined(values: Sequence[np.ndarray], encoded: EncodedDataset, count: int) -> list[np.ndarray]:
    """Join the windows of each record; of several views only the first has its positions in order."""
    before = int(encoded.context.add_cls)
    windows: list[list[int]] = [[] for _ in range(count)]
    for number in np.flatnonzero(encoded.view_index == 0).tolist():
        windows[encoded.record_index[number]].append(number)
    joined = []
    for own in windows:
        shown = [encoded.window(number) for number in own]
        starts, lengths = [window.start for window in shown], [window.length for window in shown]
        joined.append(join_positions([values[number] for number in own], starts, lengths, before))
    return joined
