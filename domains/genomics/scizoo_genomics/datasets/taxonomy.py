"""Bacterial taxonomy from the 16S rRNA gene, split by genus: genera of the test part were never seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_genomics.amplicon import PRIMERS, Primer, amplicon, primer_pair
from scizoo_genomics.datasets.base import SequenceDataset
from scizoo_genomics.datasets.greengenes import (
    CITATION,
    LICENCE,
    RANKS,
    SEQUENCES,
    TAXONOMY,
    is_held_out,
    is_organelle,
    read_16s,
    read_taxonomy,
)
from scizoo_genomics.readers.entry import Entry


class Taxonomy16S(SequenceDataset):
    """16S rRNA genes of Greengenes 13_8 with their taxonomy.

    The sequences are representatives of clusters at 97% identity, so no two are near copies. Each
    record's group is a lower rank (genus), which never stands in two parts of a split.

    Parameters
    ----------
    rank : str
        What to predict: phylum, class, order, family or genus.
    group : str
        The lower rank that must not be split apart.
    domain : str, optional
        Only this domain of life; None for all.
    organelles : bool
        Whether chloroplasts and mitochondria count, which Greengenes files under Bacteria.
    region : str
        ``full``, or what a primer pair amplifies: ``V4`` (515F/806R), ``V3-V4``. Of a region,
        sequences that several groups share to the base are left out.
    primers : mapping, optional
        An own pair instead: ``{forward: ..., reverse: ...}``, IUPAC codes, both 5' to 3'.
    max_mismatches : int
        Bases of a primer that may differ.
    min_groups_per_class : int
        Classes with fewer groups are left out: a class needs groups of its own in each part.
    max_per_group, max_per_class : int, optional
        At most so many records of each group and class, drawn with ``seed``; groups are drawn evenly.
    heldout_share, heldout_seed
        The share of groups that ``meta["split"]`` marks as test, by name, as the pre-training corpus
        does; 0 marks nothing.
    seed : int
        Of the drawing.
    sequences, taxonomy : str
        Where the files lie; by default inside the installed package.
    max_rejected : float
    """

    licence = LICENCE
    citation = CITATION

    def __init__(
        self,
        rank: str = "family",
        group: str = "genus",
        domain: str | None = "Bacteria",
        organelles: bool = False,
        region: str = "full",
        primers: Mapping[str, str] | None = None,
        max_mismatches: int = 2,
        min_groups_per_class: int = 5,
        max_per_group: int | None = None,
        max_per_class: int | None = None,
        heldout_share: float = 0.0,
        heldout_seed: int = 0,
        seed: int = 0,
        sequences: str = SEQUENCES,
        taxonomy: str = TAXONOMY,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        for key, value in (("rank", rank), ("group", group)):
            if value not in RANKS:
                raise ConfigError(f"data.{key} is '{value}'; {did_you_mean(value, RANKS)}")
        if RANKS.index(group) <= RANKS.index(rank):
            raise ConfigError(f"data.group={group} is not below data.rank={rank}.", expected="a lower rank")
        if primers is None and region != "full":
            if region not in PRIMERS:
                raise ConfigError(f"data.region is '{region}'; {did_you_mean(region, ['full', *PRIMERS])}")
            forward, reverse = PRIMERS[region]
            primers = {"forward": forward, "reverse": reverse}
        self.rank, self.group, self.domain, self.region = rank, group, domain, region
        self.organelles = organelles
        self.primers = dict(primers) if primers else None
        self.max_mismatches = max_mismatches
        self._pair = self._make_pair()
        self.min_groups_per_class = min_groups_per_class
        self.max_per_group, self.max_per_class = max_per_group, max_per_class
        self.heldout_share, self.heldout_seed, self.seed = heldout_share, heldout_seed, seed
        self.sequences, self.taxonomy = sequences, taxonomy

    @property
    def name(self) -> str:
        """The data set, for messages and cards."""
        return "Greengenes 13_8 97% OTUs" if self.sequences == SEQUENCES else str(self.sequences)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {
            key: getattr(self, key)
            for key in (
                *(
                    "rank",
                    "group",
                    "domain",
                    "organelles",
                    "region",
                    "primers",
                    "max_mismatches",
                    "min_groups_per_class",
                ),
                *("max_per_group", "max_per_class", "heldout_share", "heldout_seed", "seed"),
            )
        }

    def fingerprint(self) -> str:
        """Digest of both files and of the options."""
        return self._digest(fingerprint_files([resolve(self.sequences), resolve(self.taxonomy)]))

    def records(self) -> Iterator[Record]:
        """Yield the chosen sequences in file order; those left out by design are counted."""
        self.left_out.clear()
        lineages = read_taxonomy(resolve(self.taxonomy))
        chosen = self._choose(lineages)
        found: Iterable[Entry] = self._cut(chosen)
        shared: set[str] = set()
        if self._pair is not None:
            found = list(found)
            shared = self._shared(found, lineages)
        for entry in found:
            if entry.sequence in shared:
                self.left_out[f"whose region is the same in several {self.group} names"] += 1
                continue
            lineage = lineages[entry.id]
            meta: dict[str, Any] = {
                key: lineage[key] for key in RANKS[: RANKS.index(self.group) + 1] if key in lineage
            }
            if self.heldout_share:
                held = is_held_out(lineage[self.group], self.heldout_share, self.heldout_seed)
                meta["split"] = "test" if held else "train"
            yield Record(
                entry.id, entry.sequence, lineage[self.rank], lineage[self.group], meta, entry.source
            )
        self._say_left_out()

    def _make_pair(self) -> tuple[Primer, Primer] | None:
        if not self.primers:
            return None
        try:
            return primer_pair(self.primers["forward"], self.primers["reverse"], self.max_mismatches)
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"data.primers cannot be used: {error}", expected="forward and reverse, in IUPAC codes"
            ) from error

    def _cut(self, chosen: set[str]) -> Iterator[Entry]:
        """Read the chosen sequences, or what the primers amplify of them."""
        for entry in read_16s(self.rejections, chosen, resolve(self.sequences)):
            if self._pair is None:
                yield entry
                continue
            region = amplicon(entry.sequence, *self._pair)
            if region is None:
                self.left_out["whose primers do not fit"] += 1
            else:
                yield replace(entry, sequence=region)

    def _shared(self, found: list[Entry], lineages: dict[str, dict[str, str]]) -> set[str]:
        """Return the regions that several groups have in common: copies across the parts of a split."""
        groups: dict[str, set[str]] = defaultdict(set)
        for entry in found:
            groups[entry.sequence].add(lineages[entry.id][self.group])
        return {sequence for sequence, names in groups.items() if len(names) > 1}

    def _choose(self, lineages: dict[str, dict[str, str]]) -> set[str]:
        """Return the ids that take part, counting the others by reason."""
        members: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for id, lineage in lineages.items():
            if self.domain is not None and lineage.get("domain") != self.domain:
                self.left_out[f"not of the domain {self.domain}"] += 1
            elif not self.organelles and is_organelle(lineage):
                self.left_out[
                    "of chloroplasts and mitochondria, which the taxonomy files under Bacteria"
                ] += 1
            elif self.rank not in lineage or self.group not in lineage:
                self.left_out[f"without a named {self.rank} or {self.group}"] += 1
            else:
                members[lineage[self.rank]][lineage[self.group]].append(id)
        chosen: set[str] = set()
        generator = np.random.default_rng(self.seed)
        for label in sorted(members):
            groups = members[label]
            size = sum(map(len, groups.values()))
            if len(groups) < self.min_groups_per_class:
                self.left_out[
                    f"in a {self.rank} of fewer than {self.min_groups_per_class} {self.group} names"
                ] += size
                continue
            drawn = self._draw(groups, generator)
            if len(drawn) < size:
                self.left_out["beyond data.max_per_group or data.max_per_class"] += size - len(drawn)
            chosen.update(drawn)
        if not chosen:
            known = {lineage.get("domain", "") for lineage in lineages.values()}
            raise DataError(
                f"{self.name}: no {self.rank} has {self.min_groups_per_class} {self.group} names or more in "
                f"the domain {self.domain}.",
                expected=f"data.domain one of {sorted(known)}, or fewer data.min_groups_per_class",
            )
        return chosen

    def _draw(self, groups: dict[str, list[str]], generator: np.random.Generator) -> list[str]:
        """Draw one record of each group in turn, so that large groups do not crowd out small ones."""
        queues = []
        for name in sorted(groups):
            ids = sorted(groups[name])
            generator.shuffle(ids)
            queues.append(ids[: self.max_per_group])
        generator.shuffle(queues)
        drawn: list[str] = []
        most = self.max_per_class if self.max_per_class is not None else sum(map(len, queues))
        depth = 0
        while len(drawn) < most and any(len(queue) > depth for queue in queues):
            drawn += [queue[depth] for queue in queues if len(queue) > depth][: most - len(drawn)]
            depth += 1
        return drawn
