"""Loading weights into a module, with an account of every tensor that did not fit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from scizoo.errors import CheckpointError

WEIGHTS = "model.safetensors"


@dataclass
class LoadReport:
    """What became of each tensor when weights were loaded.

    Parameters
    ----------
    loaded : list of str
        Tensors that were taken over.
    missing : list of str
        Tensors of the module that the source does not hold; they keep their initial values.
    unexpected : list of str
        Tensors of the source that the module has no place for; they were left out.
    reshaped : dict of str to tuple
        Tensors of another shape, as (shape in the source, shape in the module); initial values are kept.
    allowed : list of str
        Those of the above that were permitted by name.
    source : str
        Where the weights came from.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    allowed: list[str] = field(default_factory=list)
    source: str = "the given tensors"

    @property
    def complete(self) -> bool:
        """Whether every tensor of the module was loaded and none was left over."""
        return not (self.missing or self.unexpected or self.reshaped)

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.missing) + len(self.reshaped)
        lines = [f"{len(self.loaded)} of {total} tensors loaded from {self.source}"]
        lines += _section("missing (initial values kept)", self.missing)
        lines += _section("unexpected (left out)", self.unexpected)
        lines += _section(
            "reshaped (initial values kept)",
            [
                f"{name}: {list(theirs)} there, {list(ours)} here"
                for name, (theirs, ours) in self.reshaped.items()
            ],
        )
        return "\n".join(lines)

    def check(
        self,
        allow_missing: Iterable[str] = (),
        allow_unexpected: Iterable[str] = (),
        allow_reshaped: Iterable[str] = (),
    ) -> LoadReport:
        """Refuse whatever was not permitted by name.

        Parameters
        ----------
        allow_missing, allow_unexpected, allow_reshaped : iterable of str
            Globs over tensor names (``"pooler.*"``) that may be missing, left over or of another shape.

        Returns
        -------
        LoadReport
            This report, with ``allowed`` filled in.

        Raises
        ------
        CheckpointError
            When any other tensor is missing, left over or of another shape; the message lists them all.
        """
        permitted: list[str] = []
        refused = LoadReport(loaded=self.loaded, source=self.source)
        for names, globs, into in (
            (self.missing, tuple(allow_missing), refused.missing),
            (self.unexpected, tuple(allow_unexpected), refused.unexpected),
        ):
            for name in names:
                (permitted if _matches(name, globs) else into).append(name)
        reshapes = tuple(allow_reshaped)
        for name, shapes in self.reshaped.items():
            if _matches(name, reshapes):
                permitted.append(name)
            else:
                refused.reshaped[name] = shapes
        self.allowed = permitted
        if not refused.complete:
            raise CheckpointError(
                f"The weights do not fit the model.\n{refused}",
                expected="the same tensors with the same shapes",
                remedy="use the config that the weights were made with, or permit the difference by name.",
            )
        return self


def load_into(
    module: nn.Module,
    source: Mapping[str, Tensor] | str | Path,
    *,
    allow_missing: Iterable[str] = (),
    allow_unexpected: Iterable[str] = (),
    allow_reshaped: Iterable[str] = (),
) -> LoadReport:
    """Copy tensors into a module; nothing is left out unless it was permitted by name.

    The module is untouched when the weights are refused. Values are converted to the dtype and device of
    the module.

    Parameters
    ----------
    module : nn.Module
        What to fill.
    source : mapping, str or Path
        Tensors by name, a safetensors file, or a folder with ``model.safetensors`` (or its shards).
    allow_missing, allow_unexpected, allow_reshaped : iterable of str
        Globs over tensor names that may differ in this way.

    Returns
    -------
    LoadReport
        Every tensor's fate.

    Raises
    ------
    CheckpointError
        When the source cannot be read, or does not fit and the difference was not permitted.
    """
    tensors = source if isinstance(source, Mapping) else read_weights(source)
    own = module.state_dict()
    report = LoadReport(source="the given tensors" if isinstance(source, Mapping) else str(source))
    fitting: dict[str, Tensor] = {}
    for name, tensor in own.items():
        if name not in tensors:
            report.missing.append(name)
        elif tensors[name].shape != tensor.shape:
            report.reshaped[name] = (tuple(tensors[name].shape), tuple(tensor.shape))
        else:
            fitting[name] = tensors[name]
            report.loaded.append(name)
    report.unexpected.extend(sorted(set(tensors) - set(own)))
    report.check(allow_missing, allow_unexpected, allow_reshaped)
    module.load_state_dict(fitting, strict=False)
    return report


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, or of the folder that holds one (whole or in shards).

    Parameters
    ----------
    path : str or Path
        A file or folder. Pickled weights are never read.

    Returns
    -------
    dict of str to Tensor
        On CPU, in the dtype of the file.

    Raises
    ------
    CheckpointError
        When there is no such file, or it is damaged.
    """
    path = Path(path)
    files = [path] if path.is_file() else _weight_files(path)
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors.update(load_file(file))
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{file} cannot be read as safetensors: {error}",
                remedy="fetch the file again, or convert other formats to safetensors first.",
            ) from error
    return tensors


def _weight_files(folder: Path) -> list[Path]:
    whole, index = folder / WEIGHTS, folder / f"{WEIGHTS}.index.json"
    if whole.is_file():
        return [whole]
    if index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        outside = [name for name in names if Path(name).name != name]
        if outside:
            raise CheckpointError(f"{index} names a shard outside its folder: {outside[0]}")
        return [folder / name for name in names]
    pickled = sorted(file.name for file in folder.glob("*.bin")) if folder.is_dir() else []
    raise CheckpointError(
        f"{folder} holds no {WEIGHTS}."
        + (f" It holds {pickled[0]}, a pickle, which is never read." if pickled else ""),
        expected=f"a folder with {WEIGHTS} or its shards and index",
        remedy="convert the weights to safetensors first." if pickled else "check the path.",
    )


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _section(title: str, names: list[str]) -> list[str]:
    return [f"  {title}: {len(names)}", *(f"    {name}" for name in names)] if names else []
