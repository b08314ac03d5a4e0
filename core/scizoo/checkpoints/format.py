"""Writing and reading a checkpoint as a whole."""

from __future__ import annotations

import datetime
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from scizoo import plugins
from scizoo.checkpoints.adapters import load_adapters
from scizoo.checkpoints.card import Card, CardFacts, Figure, build_card
from scizoo.checkpoints.components import component_class, load_views
from scizoo.checkpoints.document_side import (
    document_classes,
    read_document_side,
    write_backbone,
    write_document_side,
)
from scizoo.checkpoints.manifest import FILE_NAME, Manifest, portable
from scizoo.checkpoints.reference import TOLERANCE, VerifyReport, check_reference, write_reference
from scizoo.checkpoints.safety import check_folder, read_sums, write_sums
from scizoo.checkpoints.sketch import CorpusSketch, write_sketch
from scizoo.checkpoints.store import resolve_ref
from scizoo.checkpoints.uncertainty import UncertaintyState, read_uncertainty, write_uncertainty
from scizoo.data.encoding import Context, Views
from scizoo.data.targets import TargetEncoder
from scizoo.data.tokenizer import Tokenizer, save_tokenizer, tokenizer_entry
from scizoo.errors import CheckpointError, ConfigError
from scizoo.files import atomic_dir, write_json, write_text
from scizoo.models.backbones import Backbone, cast_state, read_config
from scizoo.models.heads import Head
from scizoo.models.initialise import load_into
from scizoo.models.retrieval import DocumentSide, DualEncoder

HEAD = "head.safetensors"
# The key of config.json by which a library knows a model as its own.
_OPENED_BY = {"model_type": "transformers", "architecture": "timm"}
_VERSIONED = ("scizoo", "torch", "transformers", "timm", "peft", "lightning", "safetensors", "numpy")


@dataclass
class Checkpoint:
    """A checkpoint in memory.

    Parameters
    ----------
    path : Path
        Its folder.
    manifest : Manifest
        Its scizoo.json.
    backbone : Backbone
        In float32, in evaluation mode, adapters applied.
    tokenizer : Tokenizer
    context : Context
        How inputs are cut into windows.
    head : Head or None
        None when it only embeds.
    target : TargetEncoder or None
        Turns outputs back into the user's labels and units.
    views : callable or None
        Gives the views of an input that are averaged in prediction.
    uncertainty : UncertaintyState or None
        What calibrated probabilities, sets or intervals and the out-of-distribution score need; None
        where it was written without.
    document : DocumentSide or None
        What encodes documents, of a checkpoint for retrieval; the others then are for queries.
    """

    path: Path
    manifest: Manifest
    backbone: Backbone
    tokenizer: Tokenizer
    context: Context
    head: Head | None = None
    target: TargetEncoder | None = None
    views: Views | None = None
    uncertainty: UncertaintyState | None = None
    document: DocumentSide | None = None

    @property
    def joint(self) -> Backbone:
        """The backbone; of a checkpoint for retrieval both sides together."""
        return self.backbone if self.document is None else DualEncoder(self.backbone, self.document.backbone)

    @property
    def kind(self) -> str:
        """The head's kind, or ``embedding``."""
        return self.manifest.kind

    def to(self, device: str | torch.device) -> Checkpoint:
        """Move backbone and head to a device, in place."""
        self.joint.to(device)
        if self.head is not None:
            self.head.to(device)
        return self


def save_checkpoint(
    path: str | Path,
    *,
    backbone: Backbone,
    tokenizer: Tokenizer,
    context: Context,
    card: Card,
    domain: str,
    reference_inputs: Sequence[Any],
    head: Head | None = None,
    target: TargetEncoder | None = None,
    augment: Any = None,
    uncertainty: UncertaintyState | None = None,
    sketch: CorpusSketch | None = None,
    figures: Sequence[Figure] = (),
    config: Any = None,
    data: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (),
    dtype: torch.dtype | str | None = None,
    overwrite: bool = False,
    document: DocumentSide | None = None,
) -> Path:
    """Write a checkpoint: whole and checked, or not at all.

    It is written to a folder beside `path`, read back, run on the reference inputs, checked like any
    stranger's checkpoint, and only then given its name.

    Parameters
    ----------
    path : str or Path
        The folder to make.
    backbone, head, tokenizer, target, context
        What makes up the model; a backbone with unmerged LoRA is written with PEFT's own files.
    card : Card
        The words of the model card; its licence and name are the checkpoint's.
    domain : str
        The domain the model belongs to.
    reference_inputs : sequence
        A few raw inputs (``Record.input``) whose outputs are stored for ``scizoo verify``; for retrieval
        pairs of a query and a document.
    augment : mapping or object, optional
        Config (``_target_`` and settings) or instance of what gives the views of an input; they are
        averaged in prediction unless its ``predict`` is false.
    uncertainty : UncertaintyState, optional
        What ``scizoo.evaluation.uncertainty.fit_uncertainty`` gave.
    sketch : CorpusSketch, optional
        What ``scizoo.evaluation.corpora.sketch_corpus`` gave for the training records.
    figures : sequence of Figure
        What was measured, for metrics.json and the card.
    config : mapping or DictConfig, optional
        The resolved config of the run; paths of this machine are left out.
    data : mapping, optional
        Fingerprint and description of the training data, plain.
    seeds : sequence of int
        Seeds of the run.
    dtype : torch.dtype or str, optional
        How weights are stored, e.g. ``"bfloat16"``; they are float32 again when loaded.
    overwrite : bool
        Whether an existing folder may be replaced.
    document : DocumentSide, optional
        For retrieval: what encodes documents; backbone, tokenizer and context are for queries.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    CheckpointError
        When the folder exists, or what was written cannot be read back.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise CheckpointError(
            f"{path} exists; a checkpoint never overwrites another unasked.",
            remedy="choose another folder, or allow it (overwrite=True).",
        )
    with atomic_dir(path) as folder:
        adapter = write_backbone(backbone, folder, dtype)
        if head is not None:
            save_file(cast_state(head.state_dict(), dtype), folder / HEAD, metadata={"format": "pt"})
        save_tokenizer(tokenizer, folder)
        second = (
            None if document is None else write_document_side(folder, document, backbone, tokenizer, dtype)
        )
        if uncertainty is not None:
            write_uncertainty(folder, uncertainty)
        manifest = Manifest(
            name=card.name,
            domain=domain,
            kind=head.kind if head is not None else "embedding",
            summary=card.summary,
            licence=card.licence,
            backbone={"_target_": _dotted(backbone)},
            context=context.to_dict(),
            head=None if head is None else _head_component(head),
            tokenizer=tokenizer_entry(tokenizer),
            target=None if target is None else {"_target_": _dotted(target), "state": target.state()},
            augment=_augment_component(augment),
            adapter=adapter,
            document=second,
            uncertainty=None if uncertainty is None else dict(uncertainty.settings),
            sketch=None if sketch is None else write_sketch(folder, sketch),
            config=_plain_config(config),
            versions=_versions(domain),
            data=portable(dict(data or {})),
            seeds=[int(seed) for seed in seeds],
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        opened = open_folder(folder, manifest)
        write_reference(folder, opened, reference_inputs)
        write_json(folder / "metrics.json", {"figures": [figure.to_dict() for figure in figures]})
        write_text(
            folder / "README.md",
            build_card(card, figures, _facts(folder, manifest, opened.joint, head, dtype)),
        )
        manifest.files = {
            item.relative_to(folder).as_posix(): item.stat().st_size
            for item in sorted(folder.rglob("*"))
            if item.is_file()
        }
        write_json(folder / FILE_NAME, manifest.to_dict())
        for item in folder.rglob("*.safetensors"):  # safetensors lets nobody else read what it writes
            shutil.copymode(folder / FILE_NAME, item)
        write_sums(folder)
        check_folder(folder)
    return path


def load_checkpoint(ref: str | Path) -> Checkpoint:
    """Load a checkpoint after checking it.

    Parameters
    ----------
    ref : str or Path
        A name, path or URL, see :func:`scizoo.checkpoints.store.resolve_ref`.

    Returns
    -------
    Checkpoint
        On CPU, in evaluation mode.

    Raises
    ------
    CheckpointError
        When it cannot be found, or is refused; each reason has its own message.
    """
    folder = resolve_ref(ref)
    return open_folder(folder, check_folder(folder))


def verify(ref: str | Path) -> VerifyReport:
    """Check a checkpoint's files and compute its reference outputs again.

    Parameters
    ----------
    ref : str or Path
        A name, path or URL.

    Returns
    -------
    VerifyReport
        ``str()`` of it is what ``scizoo verify`` prints.

    Raises
    ------
    CheckpointError
        When the checkpoint is refused, or an output differs from its reference by more than allowed.
    """
    checkpoint = load_checkpoint(ref)
    differences = check_reference(checkpoint)
    manifest = checkpoint.manifest
    now = _versions(manifest.domain)
    changed = {
        name: (then, now.get(name, "none"))
        for name, then in manifest.versions.items()
        if now.get(name, "none") != then
    }
    wrong = {name: gap for name, gap in differences.items() if not gap <= TOLERANCE}
    if wrong:
        listed = ", ".join(f"{name} differs by {gap:.1e}" for name, gap in wrong.items())
        raise CheckpointError(
            f"{checkpoint.path} does not give its reference outputs: {listed}.",
            expected=f"relative differences up to {TOLERANCE:g}",
            remedy=f"install the versions it was written with ({_written_with(manifest)}).",
        )
    files = len(read_sums(checkpoint.path))
    return VerifyReport(manifest.name, checkpoint.path, files, differences, changed_versions=changed)


def open_folder(folder: Path, manifest: Manifest) -> Checkpoint:
    """Build the parts of a checkpoint whose files were checked already."""
    # Every class is judged before the first one is used.
    backbone_class = component_class(manifest.backbone, Backbone, "backbone", folder)
    tokenizer_class = component_class(manifest.tokenizer or {}, Tokenizer, "tokenizer", folder)
    head_class = component_class(manifest.head, Head, "head", folder) if manifest.head else None
    target_class = (
        component_class(manifest.target, TargetEncoder, "target", folder) if manifest.target else None
    )
    views = load_views(manifest.augment, folder)
    second = document_classes(manifest.document, folder)
    try:
        context = Context(**manifest.context)
        tokenizer = tokenizer_class.from_settings((manifest.tokenizer or {}).get("settings", {}), folder)
        backbone = backbone_class.load(folder)
        if manifest.adapter is not None:
            load_adapters(backbone, folder)
        head = target = document = None
        if manifest.document is not None:
            document = read_document_side(folder, manifest.document, second, backbone, tokenizer)
        if head_class is not None and manifest.head is not None:
            head = _load_head(head_class, manifest.head, folder, backbone)
        if target_class is not None and manifest.target is not None:
            target = target_class.from_state(manifest.target["state"])
        uncertainty = read_uncertainty(folder, manifest.uncertainty)
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"{folder} cannot be put together: {type(error).__name__}: {error}",
            expected="settings that fit the classes they are for",
            remedy=f"install what it was written with ({_written_with(manifest)}), or fetch it again.",
        ) from error
    backbone.eval().requires_grad_(False)
    if head is not None:
        head.eval().requires_grad_(False)
    return Checkpoint(
        folder, manifest, backbone, tokenizer, context, head, target, views, uncertainty, document
    )


def _head_component(head: Head) -> dict[str, Any]:
    return {
        "_target_": _dotted(head),
        "hidden_size": head.hidden_size,
        "outputs": head.outputs,
        "settings": head.settings(),
    }


def _load_head(found: type[Head], component: Mapping[str, Any], folder: Path, backbone: Backbone) -> Head:
    head = found(component["hidden_size"], component["outputs"], **component.get("settings", {}))
    load_into(head, load_file(folder / HEAD))
    bind = getattr(head, "bind", None)
    if bind is not None:
        bind(backbone)  # an embedding that both use is saved with the backbone alone
    return head


def _augment_component(augment: Any) -> dict[str, Any] | None:
    from scizoo.config import to_plain

    if augment is None:
        return None
    if not hasattr(augment, "keys"):
        return {"_target_": _dotted(augment), "settings": augment.settings()}
    plain = to_plain(augment)
    return {"_target_": plain["_target_"], "settings": {k: v for k, v in plain.items() if k != "_target_"}}


def _dotted(part: object) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def _plain_config(config: Any) -> dict[str, Any]:
    from scizoo.config import to_plain

    return portable(to_plain(config)) if config is not None else {}


def _versions(domain: str) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an optional library that this model did not need
    if domain in plugins.installed():
        found[plugins.installed()[domain]] = plugins.version(domain)
    return found


def _written_with(manifest: Manifest) -> str:
    return ", ".join(f"{name} {number}" for name, number in manifest.versions.items()) or "unknown versions"


def _facts(
    folder: Path, manifest: Manifest, backbone: Backbone, head: Head | None, dtype: torch.dtype | str | None
) -> CardFacts:
    config = read_config(folder)
    opened_by = next((by for key, by in _OPENED_BY.items() if key in config), "scizoo")
    parts = [backbone] if head is None else [backbone, head]
    unique = {id(parameter): parameter.numel() for part in parts for parameter in part.parameters()}
    return CardFacts(
        domain=manifest.domain,
        kind=manifest.kind,
        architecture=str(
            config.get("model_type") or config.get("architecture") or config.get("backbone") or "its own"
        ),
        opened_by=opened_by,
        parameters=sum(unique.values()),
        dtype=str(dtype or "float32").removeprefix("torch."),
        max_length=manifest.context["max_length"],
        seeds=manifest.seeds,
        versions=manifest.versions,
    )
