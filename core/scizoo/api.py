"""The Python face: ``scizoo.load(ref)`` gives a model that embeds, predicts, scores and generates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scizoo.checkpoints.format import Checkpoint, load_checkpoint
from scizoo.data.batching import PadCollator
from scizoo.data.encoding import EncodedDataset, encode_records
from scizoo.data.maps import MapTarget
from scizoo.data.records import Record
from scizoo.data.targets import FutureTarget
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import DataError, ScizooError, did_you_mean
from scizoo.models.forecast_heads import PatchQuantileHead, RollOutHead
from scizoo.models.objectives import CausalLM, LanguageObjective, Objective
from scizoo.models.pooling import build_pool
from scizoo.models.retrieval import DocumentSide, RetrievalHead, Side
from scizoo.models.roll_out import sample_paths
from scizoo.predictions import Prediction, class_names, to_frame
from scizoo.search import SearchResult, nearest
from scizoo.training.joint import JointModel, batch_to
from scizoo.training.pairs import embed_side
from scizoo.training.predict import aggregate, embed_windows, join_positions, mean_pool, predict_windows
from scizoo.training.segment import segment_windows

if TYPE_CHECKING:
    import pandas as pd

    from scizoo.checkpoints.uncertainty import UncertaintyState
    from scizoo.transformer import EmbeddingTransformer

POOLS = ("mean", "cls", "last", "max")

#: Names the steps of a forecast: ``index(record, steps)`` gives columns of as many entries.
FutureIndex = Callable[[Record, int], Mapping[str, Sequence[Any]]]


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
        """The head's kind: classification, forecast, segmentation, retrieval, language, ...; or embedding."""
        return self.checkpoint.kind

    @property
    def dimension(self) -> int:
        """Length of an embedding; of a model for retrieval the width of the common space."""
        head = self.checkpoint.head
        return head.outputs if isinstance(head, RetrievalHead) else self.checkpoint.backbone.hidden_size

    @property
    def classes(self) -> list[str]:
        """The classes or labels in the order of the probabilities, or the names of the quantities."""
        return class_names(self.checkpoint.target)

    def embed(
        self,
        inputs: Iterable[Any],
        batch_size: int = 64,
        pool: str | None = None,
        *,
        side: Side | None = None,
    ) -> np.ndarray:
        """Compute one vector an input.

        A model for retrieval gives places in the common space of queries and documents, of length 1, unless a
        pooling is named; their products are the similarities by which :meth:`search` ranks.

        Parameters
        ----------
        inputs : iterable
            Raw inputs or Records.
        batch_size : int
            Windows a forward pass.
        pool : {"mean", "cls", "last", "max"}
            How the states of a window's positions become one vector; the mean by default. Windows and views
            of an input are averaged.
        side : {"query", "document"}, optional
            Of a model for retrieval: what the inputs are; queries by default.

        Returns
        -------
        ndarray of float32, shape (inputs, dimension)

        Raises
        ------
        DataError
            When an input cannot be encoded, naming it.
        ScizooError
            When a side is asked of a model that has none.
        """
        if pool is not None and pool not in POOLS:
            raise ScizooError(f"pool='{pool}' is unknown: {did_you_mean(pool, POOLS)}")
        second = self._side(side)
        backbone = self.checkpoint.backbone if second is None else second.backbone
        records, head = _records(inputs), self.checkpoint.head
        common = isinstance(head, RetrievalHead) and pool is None
        if not records:
            width = self.dimension if common else backbone.hidden_size
            return np.empty((0, width), dtype=np.float32)
        encoded = self._encode(records, second)
        if common and isinstance(head, RetrievalHead):
            return embed_side(
                backbone, head, encoded, side or "query", batch_size=batch_size, device=self.device
            )
        windows = embed_windows(
            JointModel(backbone, torch.nn.Identity()),
            _batches(encoded, batch_size),
            pool=build_pool(pool or "mean", backbone.hidden_size),
            device=self.device,
        )
        return aggregate(windows, encoded.record_index)["embedding"].astype(np.float32)

    def _side(self, side: Side | None) -> DocumentSide | None:
        """Give what encodes documents where these are asked for; None for queries and other models."""
        second = self.checkpoint.document
        if side is None or (side == "query" and second is not None):
            return None
        if second is None:
            raise ScizooError(
                f"{self.name} has no sides: its kind is {self.kind}.",
                expected="a model of kind retrieval",
                remedy="leave side out.",
            )
        if side != "document":
            raise ScizooError(f"side='{side}' is unknown: {did_you_mean(side, ('query', 'document'))}")
        return second

    def search(
        self, queries: Iterable[Any], documents: Iterable[Any], k: int = 10, batch_size: int = 64
    ) -> SearchResult:
        """Find the best documents of a pool for each query.

        Parameters
        ----------
        queries, documents : iterable
            Raw objects of the field or Records, whose ``input`` is taken on both sides. For the other
            direction, search among the queries yourself: ``embed(..., side="query")`` and
            ``embed(..., side="document")`` give vectors whose products are the scores.
        k : int
            How many documents a query; of a smaller pool all.
        batch_size : int
            Windows a forward pass.

        Returns
        -------
        SearchResult
            With ``documents`` (their ids, or their places in the list), ``positions`` and ``scores``.

        Raises
        ------
        ScizooError
            When the model is not one for retrieval.
        """
        if not isinstance(self.checkpoint.head, RetrievalHead):
            raise ScizooError(
                f"{self.name} cannot search: its kind is {self.kind}.",
                expected="a model of kind retrieval",
                remedy="fine-tune it on pairs, or compare vectors of embed() yourself.",
            )
        asked, pool = _records(queries), _records(documents)
        mine = self.embed(asked, batch_size, side="query")
        theirs = self.embed(pool, batch_size, side="document")
        return nearest(mine, theirs, [one.id for one in asked], [one.id for one in pool], k)

    def predict(
        self,
        inputs: Iterable[Any],
        batch_size: int = 64,
        coverage: float | None = None,
        *,
        horizon: int | None = None,
        levels: Sequence[float] | None = None,
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
        horizon : int, optional
            For forecasts: steps ahead; by default as many as the task it was fitted to had. Further ones
            are rolled out.
        levels : sequence of float, optional
            For forecasts: levels of the quantiles, between the lowest and the highest that the model knows.

        Returns
        -------
        Prediction
            With the fields that fit the model's kind: ``labels`` and ``probability`` (inputs, classes)
            for classes; ``mean`` and ``std`` (inputs, quantities), in the units of the training data,
            for quantities; ``quantiles`` (inputs, steps ahead, levels) for forecasts, in each series' own;
            ``maps`` for label maps.

        Raises
        ------
        ConfigError
            When the coverage does not lie between 0 and 1.
        ScizooError
            When the model only embeds or models sequences, or a coverage is asked of a checkpoint that
            keeps nothing to give it; when a model that does not forecast is asked for a horizon.
        DataError
            When an input cannot be encoded, naming it.
        """
        head = self.checkpoint.head
        if isinstance(head, RetrievalHead):
            raise ScizooError(
                f"{self.name} predicts no label: it finds documents for queries.",
                remedy="use search(queries, documents, k), or embed(inputs, side=...).",
            )
        if self.kind == "forecast" and head is not None:
            return self._forecast(_records(inputs), batch_size, coverage, horizon, levels)
        if horizon is not None or levels is not None:
            raise ScizooError(
                f"{self.name} does not forecast: its kind is {self.kind}.",
                remedy="leave horizon and levels out.",
            )
        if self.kind == "segmentation":
            if coverage is not None:
                raise ScizooError(
                    f"{self.name} gives label maps, which have no sets or intervals.",
                    remedy="leave coverage out.",
                )
            records = _records(inputs)
            maps = list(self.segment(records, batch_size))
            target = self.checkpoint.target
            values = list(target.values) if isinstance(target, MapTarget) else []
            ids = [record.id for record in records]
            return Prediction("segmentation", ids, self.classes, maps=maps, values=values)
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

    def segment(self, inputs: Iterable[Any], batch_size: int = 64) -> Iterator[np.ndarray]:
        """Predict the class of every pixel, one input at a time, so that many maps need no memory.

        Parameters
        ----------
        inputs : iterable
            Raw inputs or Records.
        batch_size : int
            Inputs a forward pass.

        Yields
        ------
        ndarray of int, shape (H, W)
            As large as the input, with the values that the label maps of the training had; in the order of
            the inputs.

        Raises
        ------
        ScizooError
            When the model does not predict label maps.
        """
        target = self.checkpoint.target
        numbers = self.segment_numbers(inputs, batch_size)
        assert isinstance(target, MapTarget)
        return (target.decode(labels) for labels in numbers)

    def segment_numbers(self, inputs: Iterable[Any], batch_size: int = 64) -> Iterator[np.ndarray]:
        """Predict as :meth:`segment`, as numbers of :attr:`classes`."""
        if self.kind != "segmentation" or not isinstance(self.checkpoint.target, MapTarget):
            raise ScizooError(
                f"{self.name} predicts no label maps: its kind is {self.kind}.",
                expected="a model of kind segmentation",
            )
        records = _records(inputs)
        return self._segmented(records, batch_size) if records else iter(())

    def _segmented(self, records: Sequence[Record], batch_size: int) -> Iterator[np.ndarray]:
        encoded = self._encode(records)
        # One input is one window, and all are of one length: they come in their own order.
        first = np.flatnonzero(encoded.view_index == 0)
        found = segment_windows(
            self.checkpoint,
            _batches(encoded, batch_size, first),
            self.checkpoint.tokenizer,
            records,
            encoded.record_index,
            device=self.device,
        )
        return (labels for _, labels in found)

    def _forecaster(self, horizon: int | None) -> Any:
        """Give the head for some steps ahead."""
        target, head = self.checkpoint.target, self.checkpoint.head
        if head is None or self.kind != "forecast":
            raise ScizooError(
                f"{self.name} does not forecast: its kind is {self.kind}.",
                expected="a model of kind forecast",
            )
        known = target.horizon if isinstance(target, FutureTarget) else None
        steps = known if horizon is None else horizon
        if steps is None:
            raise ScizooError(
                f"{self.name} forecasts any number of steps: how many?", remedy="give horizon=STEPS."
            )
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ScizooError(f"horizon={steps} is no number of steps ahead.", expected="1 or more")
        return head.zero_shot(self.checkpoint.backbone, FutureTarget(steps))

    def _forecast(
        self,
        records: Sequence[Record],
        batch_size: int,
        coverage: float | None,
        horizon: int | None,
        levels: Sequence[float] | None,
    ) -> Prediction:
        if coverage is not None:
            raise ScizooError(
                f"{self.name} forecasts quantiles, which say how sure it is; it takes no coverage.",
                remedy="give levels=[0.1, 0.9] for the ends of an interval of 80%.",
            )
        head = self._forecaster(horizon)
        if not records:
            nothing = np.empty((0, head.outputs, len(head.quantiles)))
            return Prediction.of_forecasts([], nothing, head.quantiles, levels)
        encoded = self._encode(records)
        windows = predict_windows(
            JointModel(self.checkpoint.backbone, head),
            _batches(encoded, batch_size, np.flatnonzero(encoded.ends_row)),
            device=self.device,
        )
        quantiles = aggregate(windows, encoded.record_index)["quantiles"]
        return Prediction.of_forecasts([record.id for record in records], quantiles, head.quantiles, levels)

    def sample_paths(
        self,
        inputs: Iterable[Any],
        paths: int = 100,
        *,
        horizon: int | None = None,
        batch_size: int = 16,
        seed: int = 0,
    ) -> np.ndarray:
        """Draw possible futures of each input; see :func:`scizoo.models.roll_out.sample_paths`.

        Parameters
        ----------
        inputs : iterable
            Raw inputs or Records.
        paths : int
            How many of each.
        horizon : int, optional
            As for :meth:`predict`.
        batch_size : int
            Inputs a forward pass; each takes as many rows as there are paths.
        seed : int
            The same seed and the same inputs give the same paths.

        Returns
        -------
        ndarray of float64, shape (inputs, paths, steps ahead)
            In each series' own units.

        Raises
        ------
        ScizooError
            When the model does not forecast.
        """
        head = self._forecaster(horizon)
        inner = head.inner if isinstance(head, RollOutHead) else head
        inner = inner.objective if isinstance(inner, PatchQuantileHead) else inner
        records = _records(inputs)
        drawn = np.empty((len(records), paths, head.outputs))
        if not records:
            return drawn
        encoded = self._encode(records)
        first = np.flatnonzero(encoded.ends_row & (encoded.view_index == 0))
        generator = torch.Generator().manual_seed(seed)
        for batch in _batches(encoded, batch_size, first):
            moved = batch_to({key: value for key, value in batch.items() if key != "index"}, self.device)
            found = sample_paths(self.checkpoint.backbone, inner, moved, head.outputs, paths, generator)
            drawn[encoded.record_index[batch["index"].numpy()]] = found.double().cpu().numpy()
        return drawn

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
        *,
        horizon: int | None = None,
        levels: Sequence[float] | None = None,
        index: FutureIndex | None = None,
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
        coverage, horizon, levels
            As for :meth:`predict`.
        index : callable, optional
            For forecasts: ``index(record, steps)`` gives the columns that name the steps ahead of a record,
            such as its series and their times, in the place of ``id`` and ``step``.

        Returns
        -------
        DataFrame
            Column ``id``; for classes ``prediction`` and one ``probability_<class>`` a class; for
            quantities ``mean`` and ``std`` (``mean_<name>`` and ``std_<name>`` where there are several).
            With a coverage also ``set`` (labels joined by ``;``, likeliest first) and ``set_size``, or
            ``lower`` and ``upper``; and ``ood_score`` and ``ood``. For forecasts one row an input and step
            ahead: ``id`` and ``step`` (from 1), ``prediction`` (the median) and a column a level, ``0.1``.
            For label maps ``pixels_<class>``: how many pixels each class has.

        Raises
        ------
        DataError
            When the column does not exist or an input cannot be encoded.
        """
        import pandas as pd

        ahead: dict[str, Any] = {"horizon": horizon, "levels": levels}

        def table(records: Sequence[Record]) -> pd.DataFrame:
            found = self.predict(records, batch_size, coverage, **ahead)
            if index is None or found.quantiles is None:
                return to_frame(found)
            return to_frame(found, [index(record, found.quantiles.shape[1]) for record in records])

        if not isinstance(inputs, pd.DataFrame):
            return table(_records(inputs))
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
        frame = table(records)
        if self.kind != "forecast":
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

    def sample(
        self,
        count: int,
        temperature: float = 1.0,
        top_p: float | None = None,
        seed: int = 0,
        top_k: int | None = None,
        max_new_tokens: int | None = None,
        batch_size: int = 64,
    ) -> list[Any]:
        """Write records from their beginning.

        Parameters
        ----------
        count : int
            How many.
        temperature, top_p, top_k
            As for :meth:`generate`.
        seed : int
            The same seed gives the same records, in batches of whatever size.
        max_new_tokens : int, optional
            Tokens of a record at most; by default as many as the context holds.
        batch_size : int
            Records written at once.

        Returns
        -------
        list
            The field's objects; None where the tokens stand for none.

        Raises
        ------
        ScizooError
            When the model is no causal language model, or nothing marks where its records begin.
        """
        from scizoo.models.sampling import Sampling, decode, draw
        from scizoo.training.generative import check_generator

        objective, tokenizer = check_generator(self.checkpoint)
        sampling = Sampling(count, temperature, top_p, top_k, max_new_tokens, batch_size=batch_size)
        context = self.checkpoint.context
        drawn = draw(self.checkpoint.backbone, objective, tokenizer, context, sampling, seed=seed)
        return [decode(tokenizer, row) for row in drawn.rows]

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

    def _encode(self, records: Sequence[Record], document: DocumentSide | None = None) -> EncodedDataset:
        part = self.checkpoint
        if document is not None:
            return encode_records(records, document.tokenizer, context=document.context, unique_ids=False)
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


def _batches(
    encoded: EncodedDataset, batch_size: int, windows: np.ndarray | None = None
) -> Iterator[dict[str, torch.Tensor]]:
    """Padded batches of windows of similar length; their order does not matter to the results."""
    if batch_size < 1:
        raise ScizooError(f"batch_size={batch_size} must be at least 1.")
    chosen = np.arange(len(encoded)) if windows is None else windows
    order = chosen[np.argsort(encoded.lengths[chosen], kind="stable")]
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
