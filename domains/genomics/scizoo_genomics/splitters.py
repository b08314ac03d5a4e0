"""Splits for sequences: by contig or chromosome, and by homology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scizoo.data.records import Record
from scizoo.data.splits import GivenSplitter, GroupSplitter, Split, Splitter
from scizoo.errors import DataError
from scizoo_genomics.clusters import homology_clusters


class ContigSplitter(Splitter):
    """Keeps every contig or chromosome in one part.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test.
    seed : int
        Which contigs go where.
    key : str
        The column of ``Record.meta`` that names the contig.
    **options
        Further options of the core's GroupSplitter.
    """

    def __init__(
        self, fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0, key: str = "contig", **options: Any
    ):
        self.key = key
        self._inner = GroupSplitter(fractions=tuple(fractions), seed=seed, **options)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by contig.

        Raises
        ------
        DataError
            When a record names no contig, or there are too few contigs.
        """
        for record in records:
            if not record.meta.get(self.key):
                raise DataError(
                    f"Record '{record.id}' ({record.source}) has no '{self.key}' to be split by.",
                    expected="intervals over a reference, GenBank features, or a column of that name",
                    remedy="choose another splitter (HomologySplitter needs nothing but the sequences).",
                )
        grouped = [replace(record, group=str(record.meta[self.key])) for record in records]
        split = self._inner.split(grouped)
        return replace(split, method=f"by {self.key}: no {self.key} is in two parts")


class HomologySplitter(Splitter):
    """Keeps sequences that share k-mers, on either strand, in one part.

    Clusters by :func:`scizoo_genomics.clusters.homology_clusters`, joined further where two records name
    the same group.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test.
    seed : int
        Which clusters go where.
    k, threshold, permutations
        As in :func:`~scizoo_genomics.clusters.homology_clusters`.
    respect_groups : bool
        Whether records that name the same group (a gene, a genus) are kept together too.
    **options
        Further options of the core's GroupSplitter.
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        k: int = 11,
        threshold: float = 0.3,
        permutations: int = 128,
        respect_groups: bool = True,
        **options: Any,
    ):
        self.k, self.threshold, self.permutations = k, threshold, permutations
        self.respect_groups = respect_groups
        self._inner = GroupSplitter(fractions=tuple(fractions), seed=seed, **options)

    def groups(self, records: Sequence[Record]) -> list[str]:
        """Return the homology cluster of each record."""
        clusters = homology_clusters(
            [record.input for record in records],
            k=self.k,
            threshold=self.threshold,
            permutations=self.permutations,
        ).tolist()
        if self.respect_groups:
            clusters = _joined(clusters, [record.group for record in records])
        return [f"cluster {cluster}" for cluster in clusters]

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by homology cluster.

        Raises
        ------
        DataError
            When the sequences are so alike that they make too few clusters for three parts.
        """
        groups = self.groups(records)
        split = self._inner.split([replace(record, group=group) for record, group in zip(records, groups)])
        return replace(
            split,
            method=(
                f"by homology: {len(set(groups))} clusters of sequences whose {self.k}-mers overlap "
                f"(Jaccard {self.threshold:g} or more, either strand); no cluster is in two parts"
            ),
        )


class SequenceSplitter(Splitter):
    """Takes the safest split that the data allow.

    The parts that the data state, where every record states one (a column, or files named train and
    test); else whole groups, where records name them; else homology clusters. The report says which.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test.
    seed : int
    stratify : bool
        Whether each class has groups in every part, where it has enough of them.
    validation : float
        Of stated parts without a validation part: the share of train that becomes one.
    k, threshold
        Of the homology clusters; see :class:`HomologySplitter`.
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        stratify: bool = True,
        validation: float = 0.1,
        k: int = 11,
        threshold: float = 0.3,
    ):
        self.fractions, self.seed, self.stratify = tuple(fractions), seed, stratify
        self.validation, self.k, self.threshold = validation, k, threshold

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see the class.

        Raises
        ------
        DataError
            When a part would be empty.
        """
        shared: dict[str, Any] = {"fractions": self.fractions, "seed": self.seed, "stratify": self.stratify}
        stated = sum(record.meta.get("split") is not None for record in records)
        if records and stated == len(records):
            return GivenSplitter(validation=self.validation, seed=self.seed).split(records)
        if stated:
            lacking = next(record for record in records if record.meta.get("split") is None)
            raise DataError(
                f"record '{lacking.id}' ({lacking.source}) states no part, but {stated} others do.",
                expected="train, validation or test for every record, or for none",
            )
        if any(record.group is not None for record in records):
            return GroupSplitter(**shared).split(records)
        return HomologySplitter(k=self.k, threshold=self.threshold, **shared).split(records)


def _joined(clusters: list[int], names: list[str | None]) -> list[int]:
    """Join clusters that hold a record of the same named group."""
    parent: dict[int, int] = {cluster: cluster for cluster in clusters}

    def find(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    first: dict[str, int] = {}
    for cluster, name in zip(clusters, names):
        if name is not None:
            a, b = find(first.setdefault(name, cluster)), find(cluster)
            parent[max(a, b)] = min(a, b)
    return [find(cluster) for cluster in clusters]
