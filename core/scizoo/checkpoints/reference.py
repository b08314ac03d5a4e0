"""Reference outputs: what a checkpoint gave on a few inputs when it was written.

``scizoo verify`` computes them again. On the machine that wrote them they are equal bit for bit; the
tolerance is for other processors, whose sums run in another order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scizoo.data.batching import PadCollator
from scizoo.data.documents import prefixed
from scizoo.data.encoding import Context, encode_records
from scizoo.data.records import Record
from scizoo.data.tokenizer import Tokenizer
from scizoo.errors import CheckpointError
from scizoo.models.backbones import Backbone
from scizoo.models.heads import Head
from scizoo.models.pooling import MeanPool

if TYPE_CHECKING:
    from scizoo.checkpoints.format import Checkpoint

FILE_NAME = "reference.safetensors"

#: Largest difference, relative to the largest reference value of the same output.
TOLERANCE = 1e-3

# A language head gives vocabulary-sized outputs; a sample of them tells a difference as well.
_MOST_VALUES = 50_000


@dataclass(frozen=True)
class VerifyReport:
    """What ``scizoo verify`` found; a checkpoint that does not verify raises instead.

    Parameters
    ----------
    name : str
        The checkpoint's own name.
    path : Path
        Its folder.
    files : int
        Files whose checksums were right.
    differences : dict of str to float
        Of each output the largest difference from its reference, relative to the largest reference value.
    tolerance : float
        The largest difference that is allowed.
    changed_versions : dict of str to tuple
        Libraries whose version here is another, as (then, now); for information.
    """

    name: str
    path: Path
    files: int
    differences: dict[str, float]
    tolerance: float = TOLERANCE
    changed_versions: dict[str, tuple[str, str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for ``--json``."""
        return {
            "name": self.name,
            "path": str(self.path),
            "files": self.files,
            "differences": self.differences,
            "tolerance": self.tolerance,
            "changed_versions": {name: list(pair) for name, pair in self.changed_versions.items()},
        }

    def __str__(self) -> str:
        lines = [f"{self.name} ({self.path})", f"  {self.files} files match SHA256SUMS"]
        for name, gap in self.differences.items():
            said = "equal bit for bit" if gap == 0.0 else f"largest relative difference {gap:.1e}"
            lines.append(f"  {name}: {said} (allowed: {self.tolerance:g})")
        for name, (then, now) in self.changed_versions.items():
            lines.append(f"  written with {name} {then}, verified with {now}")
        return "\n".join([*lines, "  verified"])


def write_reference(folder: Path, checkpoint: Checkpoint, inputs: Sequence[Any]) -> None:
    """Compute and store the reference of a checkpoint.

    Parameters
    ----------
    folder : Path
        Where the file goes.
    checkpoint : Checkpoint
        As read back from disk, so that rounding of stored weights is part of the reference.
    inputs : sequence
        A few raw inputs, or for retrieval pairs of a query and a document; of each the first window is used.
        Those that JSON can hold are stored as they
        are, so that a tokenizer that changed is noticed too.

    Raises
    ------
    CheckpointError
        When there is no input, or an output is not finite.
    """
    if not inputs:
        raise CheckpointError(
            "A checkpoint needs reference inputs.", expected="a few inputs of the kind it was trained on"
        )
    batch = encode_for(checkpoint, inputs)
    outputs = compute(checkpoint.joint, checkpoint.head, batch)
    for name, tensor in outputs.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"The model gives values that are not finite ('{name}') on its reference inputs.",
                remedy="the training diverged; do not publish this model.",
            )
    tensors = {f"input.{name}": tensor.contiguous() for name, tensor in batch.items()}
    tensors.update({f"output.{name}": tensor.contiguous() for name, tensor in outputs.items()})
    metadata = {"format": "pt", "device": "cpu", "torch": torch.__version__}
    raw = _as_json(inputs)
    if raw is not None:
        metadata["inputs"] = raw
    save_file(tensors, folder / FILE_NAME, metadata=metadata)


def check_reference(checkpoint: Checkpoint) -> dict[str, float]:
    """Compute the reference outputs again.

    Parameters
    ----------
    checkpoint : Checkpoint
        On CPU.

    Returns
    -------
    dict of str to float
        Of each output the largest difference, relative to its largest reference value.

    Raises
    ------
    CheckpointError
        When the file is damaged, the tokenizer encodes otherwise, or outputs are of another shape.
    """
    path = checkpoint.path / FILE_NAME
    try:
        with safe_open(path, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            metadata = stored.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error
    batch = {name[6:]: tensor for name, tensor in tensors.items() if name.startswith("input.")}
    expected = {name[7:]: tensor for name, tensor in tensors.items() if name.startswith("output.")}
    if "inputs" in metadata:
        _check_encoding(checkpoint, json.loads(metadata["inputs"]), batch)
    found = compute(checkpoint.joint, checkpoint.head, batch)
    if {name: tensor.shape for name, tensor in found.items()} != {
        name: tensor.shape for name, tensor in expected.items()
    }:
        raise CheckpointError(
            f"{checkpoint.path} gives other outputs than its reference: "
            f"{_shapes(found)} instead of {_shapes(expected)}.",
            remedy="use the versions in scizoo.json, or report this as a bug.",
        )
    return {name: _difference(found[name], expected[name]) for name in sorted(expected)}


def encode_for(checkpoint: Checkpoint, inputs: Sequence[Any]) -> dict[str, Tensor]:
    """Encode inputs as a checkpoint reads them; where it reads pairs, both sides."""
    second = checkpoint.document
    if second is None:
        return encode_inputs(checkpoint.tokenizer, checkpoint.context, inputs)
    queries, documents = ([pair[side] for pair in inputs] for side in (0, 1))
    asked = encode_inputs(checkpoint.tokenizer, checkpoint.context, queries)
    return asked | prefixed(encode_inputs(second.tokenizer, second.context, documents))


def encode_inputs(tokenizer: Tokenizer, context: Context, inputs: Sequence[Any]) -> dict[str, Tensor]:
    """Encode inputs into one padded batch: the first window of each."""
    records = [Record(f"reference {number}", value) for number, value in enumerate(inputs)]
    encoded = encode_records(records, tokenizer, context=context)
    windows = [int(encoded.windows_of(np.array([number]))[0]) for number in range(len(records))]
    batch = PadCollator(encoded.pad_values)([encoded[number] for number in windows])
    return {name: tensor for name, tensor in batch.items() if isinstance(tensor, Tensor) and name != "index"}


@torch.inference_mode()
def compute(backbone: Backbone, head: Head | None, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean-pooled embedding and the head's outputs on a batch, as float32 on CPU.

    Outputs too large to store are sampled at even distances.
    """
    was_training = backbone.training
    backbone.eval()
    hidden = backbone(batch)
    outputs = {"embedding": MeanPool()(hidden)}
    document = getattr(hidden, "document", None)
    if document is not None:
        outputs["document_embedding"] = MeanPool()(document)
    if head is not None:
        head.eval()
        given = head(hidden, batch)
        outputs.update({name: value for name, value in given.items() if _is_float(value)})
        head.train(was_training)
    backbone.train(was_training)
    return {name: _sample(tensor.float().cpu()) for name, tensor in outputs.items()}


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 0


def _sample(tensor: Tensor) -> Tensor:
    if tensor.numel() <= _MOST_VALUES:
        return tensor.clone()
    # A step that shares no factor with the last axis, so that no column is left out for good.
    step = tensor.numel() // _MOST_VALUES + 1
    while step > 1 and tensor.shape[-1] % step == 0:
        step += 1
    return tensor.flatten()[::step].clone()


def _difference(found: Tensor, expected: Tensor) -> float:
    scale = float(expected.abs().max())
    gap = float((found - expected).abs().max())
    if gap == 0.0:
        return 0.0
    return gap / scale if scale > 0.0 else float("inf")


def _shapes(outputs: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(outputs.items()))


def _as_json(inputs: Sequence[Any]) -> str | None:
    """Text of the inputs where JSON gives back exactly the same, else None."""
    try:
        text = json.dumps(list(inputs), allow_nan=False)
        same = bool(json.loads(text) == list(inputs))
    except (TypeError, ValueError):
        return None
    return text if same else None


def _check_encoding(checkpoint: Checkpoint, inputs: Sequence[Any], batch: Mapping[str, Tensor]) -> None:
    now = encode_for(checkpoint, inputs)
    for name, tensor in batch.items():
        if name not in now or now[name].shape != tensor.shape or not torch.equal(now[name], tensor):
            raise CheckpointError(
                f"The tokenizer in {checkpoint.path} encodes the reference inputs otherwise ({name}).",
                remedy="use the versions in scizoo.json, or report this as a bug.",
            )
