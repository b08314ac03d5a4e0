"""``scizoo doctor``: this machine and the installed domains, what is wrong and how to mend it."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from scizoo import plugins
from scizoo.catalogue import read_yaml
from scizoo.errors import ConfigError, ScizooError, did_you_mean
from scizoo.files import cache_dir, data_dir

if TYPE_CHECKING:
    from scizoo.cli import Command

_LIBRARIES = ("torch", "lightning", "transformers", "timm", "peft", "hydra-core", "numpy", "scikit-learn")
_ROOM = 2.0  # GB below which a run with checkpoints is likely to fail


@dataclass(frozen=True)
class Finding:
    """One line of the report; a problem has a remedy."""

    what: str
    text: str
    remedy: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing needs to be done."""
        return not self.remedy


def main(command: Command) -> int:
    """Print the findings; the exit status is 1 when one of them is a problem.

    Raises
    ------
    ConfigError
        For an unknown domain.
    """
    domain = command.name()
    if domain is not None and domain not in plugins.installed():
        raise ConfigError(
            f"no domain '{domain}' is installed: {did_you_mean(domain, plugins.installed())}",
            remedy=f"pip install scizoo-{domain}",
        )
    findings = [*_machine(), *_devices(), *_folders(), *_domains(domain)]
    if domain is not None:
        findings += [*_configs(domain), *_data(domain, command.overrides)]
    problems = [finding for finding in findings if not finding.good]
    if "--json" in command.flags:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
        return 1 if problems else 0
    for finding in findings:
        print(f"{'ok ' if finding.good else 'BAD'}  {finding.what}: {finding.text}")
        if not finding.good:
            print(f"     mend it: {finding.remedy}")
    print(f"\n{len(problems)} problem(s) found." if problems else "\nNothing is wrong.")
    return 1 if problems else 0


def _machine() -> Iterator[Finding]:
    yield Finding("scizoo", f"{_version('scizoo')} in {Path(__file__).parents[1]}")
    yield Finding("Python", f"{platform.python_version()} ({sys.executable}) on {platform.platform()}")
    for name in _LIBRARIES:
        found = _version(name)
        yield Finding(name, found or "not installed", "" if found else f"pip install {name}")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _devices() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("CPU", f"{cores} cores, {platform.machine()}")
    try:
        import torch
    except Exception as error:  # a broken torch can fail in many ways; that is a finding
        yield Finding(
            "torch", f"cannot be imported: {error}", "install it again: pip install --force-reinstall torch"
        )
        return
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            text = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, bfloat16: "
            yield Finding(f"GPU {index}", text + ("yes" if torch.cuda.is_bf16_supported() else "no"))
    elif shutil.which("nvidia-smi"):
        yield Finding(
            "GPU",
            "nvidia-smi is there but torch sees no device",
            f"install a torch built for this driver (this one is for CUDA {torch.version.cuda}).",
        )
    else:
        yield Finding("GPU", "none; runs use the CPU")


def _folders() -> Iterator[Finding]:
    for what, folder, variable in (
        ("checkpoints", data_dir(), "SCIZOO_DATA_DIR"),
        ("cache", cache_dir(), "SCIZOO_CACHE_DIR"),
        ("runs", Path("runs").absolute(), ""),
    ):
        there = folder
        while not there.exists():
            there = there.parent
        free = shutil.disk_usage(there).free / 1e9
        remedy = f"set {variable} to a folder with more room" if variable else "run from another folder"
        if not os.access(there, os.W_OK):
            yield Finding(what, f"{folder} cannot be written", f"{remedy}, or correct its permissions.")
        else:
            yield Finding(what, f"{folder}, {free:.1f} GB free", "" if free > _ROOM else f"{remedy}.")


def _domains(only: str | None) -> Iterator[Finding]:
    if not plugins.installed():
        yield Finding("domains", "none is installed", "pip install scizoo-DOMAIN")
    faces, bad = plugins.domains(), plugins.broken()
    for name, package in plugins.installed().items():
        if only not in (None, name):
            continue
        what = f"domain {name}"
        if name in bad:
            yield Finding(what, bad[name].problem, bad[name].remedy)
            continue
        folder = plugins.package_dir(package)
        if folder is None or not (folder / "conf").is_dir():
            yield Finding(what, f"{package} has no folder conf", f"install scizoo-{name} again.")
            continue
        absent = [word for word in faces[name].requires if importlib.util.find_spec(word) is None]
        if absent:
            yield Finding(what, f"needs {', '.join(absent)}, not installed", f"pip install scizoo-{name}")
        else:
            yield Finding(what, f"{plugins.version(name)} in {folder}")
        yield from _yaml_files(what, folder / "conf")


def _yaml_files(what: str, conf: Path) -> Iterator[Finding]:
    import yaml

    for path in sorted(conf.rglob("*.yaml")):
        try:
            read_yaml(path)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            yield Finding(
                what, f"{path} cannot be read: {' '.join(str(error).split())}", "correct that file."
            )


def _configs(domain: str) -> Iterator[Finding]:
    from scizoo.config import compose
    from scizoo.jobs.config import check

    for group, verb in (("task", "finetune"), ("recipe", "pretrain")):
        for name in plugins.options(group):
            if not name.startswith(f"{domain}/"):
                continue
            try:
                problems = check(compose(verb, name))
            except ScizooError as error:
                problems = [str(error)]
            text = " ".join("; ".join(problems).split())
            yield Finding(f"{group} {name}", text or "sound", f"scizoo config check {name}" if text else "")


def _data(domain: str, overrides: list[str]) -> Iterator[Finding]:
    """Let the domain look at the user's data, where it offers that."""
    face = plugins.domains().get(domain)
    given = {
        key.removeprefix("data."): value
        for key, sign, value in (word.partition("=") for word in overrides)
        if sign and key.startswith("data.")
    }
    strange = [word for word in overrides if not word.startswith("data.")]
    if strange:
        raise ConfigError(f"scizoo doctor does not take '{strange[0]}'.", expected="data.KEY=VALUE")
    if not given:
        return
    if face is None or face.inspect is None:
        yield Finding("data", f"{domain} does not look into data; run a task on them instead")
        return
    from scizoo.config import get_class

    for found in get_class(face.inspect, key=f"{domain}.inspect")(given):
        text, remedy = (found, "") if isinstance(found, str) else found
        yield Finding("data", str(text), str(remedy))
