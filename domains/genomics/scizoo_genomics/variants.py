"""Zero-shot variant effects: how much likelier a language model finds one allele than the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scizoo.data.records import Record, RejectionLog
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError
from scizoo_genomics.alphabet import BadSequenceError, reverse_complements
from scizoo_genomics.datasets.base import SequenceDataset
from scizoo_genomics.readers.reference import Reference
from scizoo_genomics.readers.vcf import Variant, read_vcf

#: Total log-likelihood of each sequence: a causal model's sum, or a masked model's pseudo-log-likelihood.
LogLikelihood = Callable[[list[str]], np.ndarray]
Strands = Literal["both", "forward", "reverse"]
COLUMNS = ("chrom", "pos", "id", "ref", "alt", "score")


@dataclass(frozen=True, slots=True)
class VariantPair:
    """The two alleles in their surroundings.

    Parameters
    ----------
    variant : Variant
    reference, alternative : str
        The same flanks around either allele, forward strand.
    offset : int
        Where the allele begins in both.
    """

    variant: Variant
    reference: str
    alternative: str
    offset: int


def variant_windows(
    vcf: Path, reference: Reference, context: int = 512, log: RejectionLog | None = None
) -> Iterator[VariantPair]:
    """Cut the window around each variant and put the other allele in.

    Parameters
    ----------
    vcf : Path
    reference : Reference
    context : int
        Bases of the reference window; the allele lies in the middle, except near a contig's end, where
        the window is moved in so that it keeps its length. The alternative window is longer or shorter by
        what the variant inserts or deletes.
    log : RejectionLog, optional
        Where variants that cannot be scored are told.

    Yields
    ------
    VariantPair

    Raises
    ------
    ConfigError
        When the context is shorter than two bases.
    """
    if context < 2:
        raise ConfigError(f"data.context is {context}.", expected="at least 2 bases")
    log = log if log is not None else RejectionLog()
    for variant in read_vcf(vcf, reference, log):
        size = len(variant.ref)
        if size > context:
            log.reject(
                variant.source, variant.id, f"REF has {size} bases, the window only {context} (data.context)"
            )
            continue
        length = reference.length(variant.chrom)
        place = variant.pos - 1
        start = min(max(place - (context - size) // 2, 0), max(length - context, 0))
        end = min(start + context, length)
        try:
            window = reference.fetch(variant.chrom, start, end)
        except (BadSequenceError, LookupError) as error:
            log.reject(variant.source, variant.id, str(error.args[0]))
            continue
        before = place - start
        alternative = window[:before] + variant.alt + window[before + size :]
        yield VariantPair(variant, window, alternative, before)


class Variants(SequenceDataset):
    """The variants of a VCF file, each as the pair of windows to compare.

    Parameters
    ----------
    path : str
        VCF, plain, gzip or bgzip.
    reference : str
        The genome it was called against, FASTA.
    context : int
        Bases of a window; see :func:`variant_windows`.
    max_rejected : float
    cache : Path, optional
        Where fetched files are kept.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        reference: str | Path | None = None,
        context: int = 512,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        for key, value, what in (
            ("path", path, "a VCF file"),
            ("reference", reference, "its genome in FASTA"),
        ):
            if value is None:
                raise ConfigError(f"data.{key} is not given.", expected=what, remedy=f"add data.{key}=FILE.")
        self.path, self.reference, self.context, self.cache = str(path), str(reference), context, cache

    @property
    def name(self) -> str:
        """The VCF file."""
        return self.path

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {"context": self.context}

    def fingerprint(self) -> str:
        """Digest of both files and of the options."""
        return self._digest(
            fingerprint_files([resolve(self.path, self.cache), resolve(self.reference, self.cache)])
        )

    def records(self) -> Iterator[Record]:
        """Yield a record an alternative allele; ``input`` is a :class:`VariantPair`."""
        genome = Reference(resolve(self.reference, self.cache))
        try:
            windows = variant_windows(resolve(self.path, self.cache), genome, self.context, self.rejections)
            for pair in windows:
                variant = pair.variant
                meta = {key: getattr(variant, key) for key in ("chrom", "pos", "id", "ref", "alt")}
                yield Record(variant.key, pair, None, variant.chrom, meta, variant.source)
        finally:
            genome.close()


def score_variants(
    log_likelihood: LogLikelihood,
    pairs: Iterable[VariantPair],
    *,
    strands: Strands = "both",
    batch: int = 64,
) -> Iterator[dict[str, Any]]:
    """Score variants by the difference in log-likelihood, alternative minus reference.

    A negative score means that the model finds the alternative allele less likely. With both strands the
    two differences are averaged, since a variant has no strand but a model has.

    Parameters
    ----------
    log_likelihood : callable
        Sequences to their total log-likelihood in nats, shape (sequences,).
    pairs : iterable of VariantPair
    strands : {"both", "forward", "reverse"}
    batch : int
        Variants scored at once; each needs two sequences a strand.

    Yields
    ------
    dict
        ``chrom``, ``pos``, ``id``, ``ref``, ``alt``, ``score``.

    Raises
    ------
    ConfigError
        When ``strands`` is another word.
    """
    if strands not in ("both", "forward", "reverse"):
        raise ConfigError(f"strands is '{strands}'.", expected="both, forward or reverse")
    iterator = iter(pairs)
    while group := list(islice(iterator, batch)):
        forward = [pair.reference for pair in group] + [pair.alternative for pair in group]
        runs: list[list[str]] = []
        if strands in ("both", "forward"):
            runs.append(forward)
        if strands in ("both", "reverse"):
            runs.append(reverse_complements(forward))
        values = np.asarray(log_likelihood([sequence for run in runs for sequence in run]), dtype=np.float64)
        values = values.reshape(len(runs), 2, len(group))
        scores = (values[:, 1] - values[:, 0]).mean(axis=0)
        for pair, score in zip(group, scores.tolist()):
            variant = pair.variant
            row = (variant.chrom, variant.pos, variant.id, variant.ref, variant.alt, score)
            yield dict(zip(COLUMNS, row))


class VariantEffect:
    """The predictor of the task variant-effect: a language model's scores of the variants of a VCF file.

    Parameters
    ----------
    variants : Variants
        The data.
    strands : {"both", "forward", "reverse"}
        Which strands are scored and averaged.
    batch : int
        Variants scored at once.
    """

    def __init__(self, variants: Variants, strands: Strands = "both", batch: int = 16):
        self.variants, self.strands, self.batch = variants, strands, batch

    @property
    def rejections(self) -> RejectionLog:
        """The variants that could not be scored, and why."""
        return self.variants.rejections

    def predict(self, model: Any) -> Any:
        """Score every variant.

        Parameters
        ----------
        model : scizoo.api.Model
            A causal or masked language model; anything with ``score(sequences)``.

        Returns
        -------
        pandas.DataFrame
            Columns ``chrom``, ``pos``, ``id``, ``ref``, ``alt``, ``score``.
        """
        import pandas as pd

        pairs = (record.input for record in self.variants)
        rows = score_variants(model.score, pairs, strands=self.strands, batch=self.batch)
        return pd.DataFrame(rows, columns=list(COLUMNS))
