"""The model card: README.md built from metadata and measured figures, never by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scizoo.checkpoints.licences import check_licence, hub_fields
from scizoo.checkpoints.manifest import portable, portable_text
from scizoo.errors import CheckpointError


@dataclass(frozen=True)
class Figure:
    """One measured figure, with all that is needed to believe it.

    Parameters
    ----------
    metric : str
        E.g. ``macro_f1``.
    value : float
        Mean over the seeds.
    data : str
        Dataset or task it was measured on.
    split : str
        How the data were split, and which part was scored.
    interval : tuple of float, optional
        Lower and upper bound at ``level``.
    level : float
        Confidence level of the interval.
    seeds : tuple of int
        Seeds of the runs behind the value.
    records : int, optional
        Number of scored records.
    baseline : float, optional
        The field's classical method on the same split.
    baseline_name : str, optional
        Which method that is.
    baseline_interval : tuple of float, optional
        Its interval.
    scratch : float, optional
        The same architecture trained from scratch on the same split.
    scratch_interval : tuple of float, optional
        Its interval.
    """

    metric: str
    value: float
    data: str
    split: str
    interval: tuple[float, float] | None = None
    level: float = 0.95
    seeds: tuple[int, ...] = ()
    records: int | None = None
    baseline: float | None = None
    baseline_name: str | None = None
    baseline_interval: tuple[float, float] | None = None
    scratch: float | None = None
    scratch_interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for metrics.json."""
        return asdict(self)

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise CheckpointError(
                f"The figure '{self.metric}' on {self.data} is {self.value}.", expected="a finite number"
            )
        for name in ("interval", "baseline_interval", "scratch_interval"):
            ends = getattr(self, name)
            if ends is not None and not all(map(math.isfinite, ends)):
                object.__setattr__(self, name, None)  # one group of records alone gives none


@dataclass(frozen=True)
class TrainingData:
    """A dataset that the model has seen.

    Parameters
    ----------
    name : str
        Name of the dataset.
    licence : str
        Its licence, SPDX where there is one.
    citation : str
        How to cite it.
    records : int, optional
        How many records were used for training.
    url : str, optional
        Where it comes from.
    hub_id : str, optional
        Its id on the Hugging Face hub, for the card's ``datasets``.
    """

    name: str
    licence: str
    citation: str = ""
    records: int | None = None
    url: str | None = None
    hub_id: str | None = None


@dataclass(frozen=True)
class Card:
    """What a card says that cannot be computed.

    Parameters
    ----------
    name : str
        The checkpoint's name, e.g. ``genomics/dna-tiny``.
    summary : str
        One sentence: what it is.
    licence : str
        SPDX expression of the weights; checked when the card is made.
    intended_use : str
        What it is for.
    limits : str
        What it must not be used for, and where it fails.
    training_data : tuple of TrainingData
        What it was trained on.
    command : str
        The exact command that trains it again.
    use_command : str
        A command that uses it, e.g. ``scizoo embed genomics/classification checkpoint=...``.
    tags : tuple of str
        Further tags for the hub.
    base : str, optional
        The checkpoint that it was fine-tuned from.
    disclaimer : str, optional
        A sentence that every card of the domain carries.
    notes : str, optional
        More text, as Markdown.
    """

    name: str
    summary: str
    licence: str
    intended_use: str
    limits: str
    training_data: tuple[TrainingData, ...] = ()
    command: str = ""
    use_command: str = ""
    tags: tuple[str, ...] = ()
    base: str | None = None
    disclaimer: str | None = None
    notes: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "licence", check_licence(self.licence))


@dataclass(frozen=True)
class CardFacts:
    """What the card learns from the checkpoint itself.

    Parameters
    ----------
    domain, kind, architecture : str
        As in the manifest; the architecture is the backbone's ``model_type`` or timm name.
    opened_by : str
        ``transformers`` or ``timm``: the library that opens the backbone without scizoo; else ``scizoo``.
    parameters : int
        Number of parameters of backbone and head.
    dtype : str
        How the weights are stored.
    max_length : int
        Longest input in tokens before windowing.
    seeds : sequence of int
        Seeds of the training run.
    versions : dict of str to str
        Library versions.
    """

    domain: str
    kind: str
    architecture: str
    opened_by: str
    parameters: int
    dtype: str
    max_length: int
    seeds: Sequence[int] = ()
    versions: dict[str, str] = field(default_factory=dict)


_PIPELINES = {
    "classification": "text-classification",
    "tokens": "token-classification",
    "forecast": "time-series-forecasting",
    "segmentation": "image-segmentation",
    "embedding": "feature-extraction",
    "retrieval": "feature-extraction",
}


def build_card(card: Card, figures: Sequence[Figure], facts: CardFacts) -> str:
    """Write README.md.

    Parameters
    ----------
    card : Card
        Words.
    figures : sequence of Figure
        Numbers; they also go into the hub's ``model-index``.
    facts : CardFacts
        What the checkpoint knows about itself.

    Returns
    -------
    str
        YAML front matter with Hugging Face metadata, then Markdown.
    """
    import yaml

    front = yaml.safe_dump(_front_matter(card, figures, facts), sort_keys=False, allow_unicode=True)
    sections = [
        f"# {card.name}",
        card.summary,
        *([f"> {card.disclaimer}"] if card.disclaimer else []),
        _what_it_is(card, facts),
        f"## Intended use\n\n{card.intended_use}",
        f"## Limits\n\n{card.limits}",
        _training_data(card),
        _results(figures),
        _how_to_load(card, facts),
        _how_to_reproduce(card, facts),
        *([card.notes.strip()] if card.notes else []),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(section.strip() for section in sections) + "\n"


def _front_matter(card: Card, figures: Sequence[Figure], facts: CardFacts) -> dict[str, Any]:
    hub = [data.hub_id for data in card.training_data if data.hub_id]
    results = [
        {
            "task": {"type": _PIPELINES.get(facts.kind, "other")},
            "dataset": {"name": figure.data, "type": figure.data},
            "metrics": [{"type": figure.metric, "value": _rounded(figure.value), "name": figure.metric}],
        }
        for figure in figures
    ]
    front: dict[str, Any] = {
        **hub_fields(card.licence),
        "library_name": "scizoo",
        "tags": list(dict.fromkeys(["scizoo", facts.domain, facts.kind, facts.architecture, *card.tags])),
    }
    if hub:
        front["datasets"] = hub
    if card.base:
        front["base_model"] = card.base
    if figures:
        front["metrics"] = list(dict.fromkeys(figure.metric for figure in figures))
        front["model-index"] = [{"name": card.name, "results": results}]
    return front


def _what_it_is(card: Card, facts: CardFacts) -> str:
    rows = {
        "domain": facts.domain,
        "kind": facts.kind,
        "architecture": f"{facts.architecture}, {facts.parameters:,} parameters, stored as {facts.dtype}",
        "context": f"{facts.max_length} tokens; longer inputs are cut into windows and averaged, or refused",
        "licence of the weights": card.licence,
    }
    if card.base:
        rows["fine-tuned from"] = card.base
    body = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"## What it is\n\n| | |\n| --- | --- |\n{body}"


def _training_data(card: Card) -> str:
    if not card.training_data:
        return "## Training data\n\nNot stated by whoever made this checkpoint."
    lines = []
    for data in card.training_data:
        count = f", {data.records:,} records" if data.records is not None else ""
        where = f", {data.url}" if data.url else ""
        cite = f"\n  Cite: {data.citation}" if data.citation else ""
        lines.append(f"- **{portable(data.name)}**{count}{where}. Licence: {data.licence}.{cite}")
    return "## Training data\n\n" + "\n".join(lines)


def _results(figures: Sequence[Figure]) -> str:
    if not figures:
        return (
            "## Results\n\nNo figure was measured on this checkpoint. "
            "Judge it on your own data with `scizoo compare`."
        )
    head = (
        "| data | split | metric | this model | from scratch | classical baseline | seeds | records |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    rows = []
    for figure in figures:
        baseline = _with_interval(figure.baseline, figure.baseline_interval)
        if figure.baseline is not None and figure.baseline_name:
            baseline += f" ({figure.baseline_name})"
        cells = (
            figure.data,
            figure.split,
            figure.metric,
            _with_interval(figure.value, figure.interval),
            _with_interval(figure.scratch, figure.scratch_interval),
            baseline,
            ", ".join(map(str, figure.seeds)) or "-",
            "-" if figure.records is None else f"{figure.records:,}",
        )
        rows.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    levels = sorted({figure.level for figure in figures if figure.interval})
    note = f"\n\nIntervals: {', '.join(f'{level:.0%}' for level in levels)} confidence." if levels else ""
    return f"## Results\n\n{head}\n" + "\n".join(rows) + note


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "-"
    text = f"{value:.4g}"
    return f"{text} [{interval[0]:.4g}, {interval[1]:.4g}]" if interval else text


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _how_to_load(card: Card, facts: CardFacts) -> str:
    uses = {
        "embedding": "model.embed(inputs)",
        "language": "model.embed(inputs)\nmodel.score(inputs)",
        "reconstruction": "model.embed(inputs)",
        "forecast": "model.predict_df(inputs, horizon=24)\nmodel.embed(inputs)",
        "contrastive": "model.embed(inputs)",
        "retrieval": 'model.search(queries, documents, k=10)\nmodel.embed(documents, side="document")',
    }.get(facts.kind, "model.predict(inputs)\nmodel.embed(inputs)")
    use = f"{card.use_command}\n" if card.use_command else ""
    without = {
        "transformers": 'transformers.AutoModel.from_pretrained("path/to/this/folder")',
        "timm": 'timm.create_model("local-dir:path/to/this/folder", pretrained=True)',
    }.get(facts.opened_by, 'safetensors.torch.load_file("path/to/this/folder/model.safetensors")')
    return (
        "## How to load it\n\n"
        f'```python\nimport scizoo\n\nmodel = scizoo.load("{card.name}")  # or the path of this folder\n'
        f"{uses}\n```\n\n"
        f"```bash\n{use}scizoo info {card.name}\nscizoo verify {card.name}\n```\n\n"
        f"Without scizoo, the backbone alone:\n\n```python\n{without}\n```"
    )


def _how_to_reproduce(card: Card, facts: CardFacts) -> str:
    command = f"```bash\n{portable_text(card.command)}\n```\n\n" if card.command else ""
    seeds = ", ".join(map(str, facts.seeds)) or "none recorded"
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return (
        f"## How to reproduce it\n\n{command}Seeds: {seeds}. The resolved config and the fingerprint "
        f"of the data are in scizoo.json; each figure above is in metrics.json. "
        f"Versions: {versions or 'see scizoo.json'}."
    )
