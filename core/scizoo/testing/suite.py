"""The tests of the contract; run them with ``python -m scizoo.testing`` or import them into a test module.

Each test's docstring is the promise that it holds a plugin to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scizoo import plugins
from scizoo.api import load
from scizoo.checkpoints.format import load_checkpoint, save_checkpoint, verify
from scizoo.checkpoints.manifest import read_manifest
from scizoo.checkpoints.sketch import read_sketch
from scizoo.checkpoints.store import resolve_ref
from scizoo.config import compose, get_class, instantiate, to_plain
from scizoo.data.splits import PARTS
from scizoo.data.targets import input_key
from scizoo.data.task import read_task
from scizoo.data.tokenizer import TokenTokenizer, load_tokenizer, save_tokenizer
from scizoo.errors import ConfigError, MachineError, ScizooError
from scizoo.evaluation.corpora import describe_similarity
from scizoo.evaluation.leakage import AuditSettings, audit_task
from scizoo.jobs.cards import make_card
from scizoo.jobs.config import check
from scizoo.jobs.generation import make_scorer
from scizoo.models.backbones import Backbone
from scizoo.models.heads import Head
from scizoo.testing.examples import BadFile, examples_of
from scizoo.testing.trial import Trial, Workshop, labelled_tasks, of_domains, verb_of, writing_tasks

# Remarks of libraries on what these tests do on purpose.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:.*{words}.*")
    for words in ("set_vital", "have no `val_dataloader`", "when using `ckpt_path`")
]

#: What no plugin may import when its package is imported.
HEAVY = ("torch", "lightning", "transformers", "timm", "peft", "torchmetrics", "pandas", "sklearn", "scipy")
#: Steps in which a head, or an objective (which hides other tokens each time), learns one batch by heart.
HEAD_STEPS, OBJECTIVE_STEPS, FALLS_TO = 80, 200, 0.5
_LABELLED_BATCHES = 3


def domains() -> list[str]:
    """Name the domains under test: those in SCIZOO_TEST_DOMAINS, else every installed one."""
    given = os.environ.get("SCIZOO_TEST_DOMAINS", "")
    return [name for name in given.split(",") if name] or list(plugins.installed())


def own_options(names: Sequence[str]) -> list[str]:
    """List every config option of some domains as ``group:option``."""
    return [f"{group}:{name}" for group in plugins.groups() for name in of_domains(group, names)]


def _cases(fixture: str) -> list[Any] | None:
    names = domains()
    if fixture == "domain":
        return names
    if fixture == "option":
        return own_options(names)
    if fixture == "tokenizer_option":
        return of_domains("tokenizer", names)
    if fixture == "task":
        return [*labelled_tasks(names), *writing_tasks(names)]
    if fixture == "writing_task":
        return writing_tasks(names)
    if fixture == "trainable":
        return [*labelled_tasks(names), *of_domains("recipe", names)]
    if fixture == "bad_file":
        found = [bad for name in names for bad in examples_of(name).bad_files]
        return [pytest.param(bad, id=f"{bad.task}-{bad.name}") for bad in found]
    if fixture == "shipped":
        known = plugins.domains()
        return [f"{name}/{short}" for name in names if name in known for short in known[name].checkpoints]
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test its domains, configs, tasks and files."""
    for fixture in metafunc.fixturenames:
        cases = _cases(fixture)
        if cases is not None:
            metafunc.parametrize(fixture, cases)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """What tests of one process share: configs, data, tiny models."""
    torch.set_num_threads(1)
    return Workshop(tmp_path_factory.mktemp("examples"))


def _trial(workshop: Workshop, name: str) -> Trial:
    try:
        return workshop.trial(name)
    except MachineError as error:
        pytest.skip(f"the data of {name} cannot be fetched on this machine: {error}")


def test_the_plugin_is_found_and_works(domain: str) -> None:
    """The entry point leads to a Domain of the same name, whose package and configs are there."""
    assert domain in plugins.domains(), plugins.broken().get(domain)
    face = plugins.domains()[domain]
    assert face.package == plugins.installed()[domain]
    assert face.summary.strip()
    assert "\n" not in face.summary
    assert own_options([domain]), f"{face.package}/conf holds no option named {domain}/..."


def test_importing_the_plugin_is_cheap(domain: str) -> None:
    """Importing the plugin's package imports no model library and none of the field's own libraries."""
    package = plugins.installed()[domain]
    code = f"import sys, json, {package}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    requires = [name.partition(".")[0] for name in plugins.domains()[domain].requires]
    heavy = {*HEAVY, *requires} & set(json.loads(shown.stdout))
    assert not heavy, f"import {package} imports {sorted(heavy)}"


def test_every_config_composes_and_instantiates(option: str, workshop: Workshop) -> None:
    """Each option composes; each class it names is allowed, exists and accepts its settings."""
    group, _, name = option.partition(":")
    if group not in ("task", "recipe"):
        cfg = compose("finetune", None, [f"{group}={name}"])
        assert check(cfg) == []
        _make(to_plain(cfg).get(group))
        return
    cfg = compose(verb_of(name), name)
    assert check(cfg) == []
    about = cfg[group]
    assert about.name == name, f"{group}.name is '{about.name}'"
    assert str(about.summary).strip()
    words = workshop.data_words(name)
    try:
        found = to_plain(compose(verb_of(name), name, words))
        made = {key: _make(found.get(key)) for key in ("data", "split", "tokenizer", "augment")}
        _make(AuditSettings.split_from(found.get("audit"))[1])
        made["baselines"] = {key: _make(node) for key, node in (found.get("baselines") or {}).items()}
        _make(found.get("predictor"))
        _make(found.get("scorer"))
    except ConfigError as error:
        known = name in examples_of(name.partition("/")[0]).own_data
        hint = "" if known else f" (if it needs the user's data, add it to own_data: {error.problem})"
        pytest.fail(f"{name}: {error}{hint}")
    assert made["data"] is not None, f"{name} names no data"


def _make(node: Any) -> Any:
    """Make what a config describes, but for what takes its sizes from elsewhere."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        return None
    kind = get_class(str(node["_target_"]))
    kind = getattr(kind, "__self__", kind)  # the class of a method such as from_config
    sized = isinstance(kind, type) and issubclass(kind, Backbone | Head)
    if sized or str(node["_target_"]).startswith("scizoo.models."):
        return None
    return instantiate(node)


def test_tokenizers_give_back_what_they_were_given(tokenizer_option: str, tmp_path: Path) -> None:
    """Encoding is deterministic, decoding undoes it, and a saved tokenizer encodes as before."""
    inputs = examples_of(tokenizer_option.partition("/")[0]).inputs_of(tokenizer_option)
    tokenizer = instantiate(
        to_plain(compose("finetune", None, [f"tokenizer={tokenizer_option}"])["tokenizer"])
    )
    tokenizer.train(iter(inputs))
    encoded = tokenizer.encode(inputs)
    rows = encoded[tokenizer.main_input]
    assert len(rows) == len(inputs)
    for ragged in encoded.values():
        assert [len(row) for row in ragged] == [len(row) for row in rows]
    if isinstance(tokenizer, TokenTokenizer):
        assert tuple(tokenizer.vocab[: len(tokenizer.SPECIAL)]) == tokenizer.SPECIAL
        assert len(set(tokenizer.vocab)) == tokenizer.vocab_size
        for given, row in zip(inputs, rows, strict=True):
            assert np.asarray(row).max() < tokenizer.vocab_size
            assert input_key(tokenizer.decode(row)) == input_key(given)
    save_tokenizer(tokenizer, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.fingerprint() == tokenizer.fingerprint()
    _same_encoding(again.encode(inputs), encoded)
    # One by one as in a batch: neighbours must not show through.
    for position, given in enumerate(inputs):
        alone = again.encode([given])
        for key, ragged in encoded.items():
            np.testing.assert_array_equal(alone[key][0], ragged[position])


def test_tokenizers_name_what_positions_stand_for(tokenizer_option: str) -> None:
    """Attributions of positions become plain numbers of the field's units, also where some were not read."""
    inputs = examples_of(tokenizer_option.partition("/")[0]).inputs_of(tokenizer_option)
    tokenizer = instantiate(
        to_plain(compose("finetune", None, [f"tokenizer={tokenizer_option}"])["tokenizer"])
    )
    tokenizer.train(iter(inputs))
    for given, row in zip(inputs, tokenizer.encode(inputs)[tokenizer.main_input], strict=True):
        shape = (len(row),) if isinstance(tokenizer, TokenTokenizer) else row.shape
        scores = np.random.default_rng(0).normal(size=shape)
        whole = _arrays(tokenizer.attribute(given, scores.copy()))
        scores[len(scores) // 2 + 1 :] = np.nan
        part = _arrays(tokenizer.attribute(given, scores.copy()))
        assert whole.keys() == part.keys()
        for name, found in whole.items():
            assert found.dtype.kind in "fiuU" and part[name].dtype.kind == found.dtype.kind
        assert not whole or any(np.isfinite(one).any() for one in whole.values() if one.dtype.kind == "f")


def _arrays(found: Any) -> dict[str, np.ndarray]:
    if found is None:
        return {}
    return (
        {str(name): np.asarray(value) for name, value in found.items()}
        if isinstance(found, Mapping)
        else {"": np.asarray(found)}
    )


def _same_encoding(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, ragged in expected.items():
        assert len(found[key]) == len(ragged)
        for one, other in zip(found[key], ragged, strict=True):
            np.testing.assert_array_equal(one, other)


def test_splits_share_no_group_and_no_input(task: str, workshop: Workshop) -> None:
    """No group and no equal input is in two parts, no part is empty, and the split can be repeated."""
    try:
        data = workshop.task_data(task)
    except MachineError as error:
        pytest.skip(f"the data of {task} cannot be fetched on this machine: {error}")
    groups = {part: set(data.split.groups[data.rows(part)]) for part in PARTS}
    inputs = {part: {input_key(record.input) for record in data.part(part)} for part in PARTS}
    for position, one in enumerate(PARTS):
        assert groups[one], f"the {one} part is empty"
        for other in PARTS[position + 1 :]:
            assert not groups[one] & groups[other]
            assert not inputs[one] & inputs[other], f"equal inputs in {one} and {other}"
    named = {record.group for record in data.records if record.group is not None}
    for group in named:  # whatever the splitter calls its groups, the records' own hold too
        held = [part for part in PARTS if any(record.group == group for record in data.part(part))]
        assert len(held) <= 1, f"group {group} is in {held}"
    again = instantiate(workshop.config(task)["split"]).split(data.records)
    for part in PARTS:
        np.testing.assert_array_equal(getattr(again, part), data.rows(part))


def test_splits_pass_the_leakage_audit(task: str, workshop: Workshop) -> None:
    """The audit that ``compare`` makes finds no leak beyond the task's tolerance."""
    try:
        data = workshop.task_data(task)
    except MachineError as error:
        pytest.skip(f"the data of {task} cannot be fetched on this machine: {error}")
    audit_task(data, workshop.config(task)).check()


def test_scorers_take_the_fields_own_records_for_valid(writing_task: str, workshop: Workshop) -> None:
    """Every record that a task reads is valid to its scorer, has one key, and can be written as text."""
    try:
        data = workshop.task_data(writing_task)
    except MachineError as error:
        pytest.skip(f"the data of {writing_task} cannot be fetched on this machine: {error}")
    scorer = make_scorer(workshop.config(writing_task))
    inputs = [record.input for record in data.records[:20]]
    keys = scorer.keys(inputs)
    assert None not in keys
    assert keys == [scorer.key(one) for one in inputs]
    assert all(isinstance(scorer.text(one), str) and scorer.text(one) for one in inputs)


def test_it_overfits_one_batch(trainable: str, workshop: Workshop, tmp_path: Path) -> None:
    """On one small batch the loss falls to a fraction of where it began."""
    trial = _trial(workshop, trainable)
    steps = OBJECTIVE_STEPS if trial.target is None else HEAD_STEPS
    losses = trial.overfit(tmp_path, steps)
    first, last = float(np.mean(losses[:3])), float(np.mean(losses[-3:]))
    assert np.isfinite(losses).all()
    assert last < FALLS_TO * first, f"the loss went from {first:.3f} to {last:.3f} in {steps} steps"


def test_stop_and_go_gives_the_same_losses(trainable: str, workshop: Workshop, tmp_path: Path) -> None:
    """A run broken off and resumed goes on bit for bit as the run that was not."""
    trial = _trial(workshop, trainable)
    steps = 2 * _LABELLED_BATCHES + 1
    _, whole, expected = trial.train(tmp_path / "whole", steps, batches=_LABELLED_BATCHES)
    trial.train(tmp_path / "cut", steps, batches=_LABELLED_BATCHES, save_every=2, stop_after=5)
    state = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    done = int(torch.load(state, weights_only=True)["global_step"])
    assert 0 < done < steps
    _, resumed, losses = trial.train(tmp_path / "go", steps, batches=_LABELLED_BATCHES, resume=state)
    assert losses == expected[done:]
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_checkpoint_comes_back_bit_for_bit(trainable: str, workshop: Workshop, tmp_path: Path) -> None:
    """Saved and loaded, the weights are equal and the stored reference outputs come out again exactly."""
    trial = _trial(workshop, trainable)
    parts, module, _ = trial.train(tmp_path, 2)
    module.eval()
    inputs = [record.input for record in trial.records]
    pairs = [[record.input, record.target] for record in trial.records]
    path = save_checkpoint(
        tmp_path / "checkpoint",
        backbone=parts.backbone,
        document=parts.document,
        head=module.head,
        tokenizer=parts.tokenizer,
        target=trial.target,
        context=parts.context,
        augment=trial.cfg.get("augment"),
        card=make_card(
            trial.cfg,
            name=trainable,
            summary="A tiny model of the contract suite",
            training_data=(),
            command="-",
        ),
        domain=trainable.partition("/")[0],
        reference_inputs=(inputs if parts.document is None else pairs)[:2],
        config=trial.cfg,
        seeds=[0],
    )
    found = load_checkpoint(path)
    assert found.head is not None
    for mine, theirs in ((parts.trained, found.joint), (module.head, found.head)):
        assert mine.state_dict().keys() == theirs.state_dict().keys()
        for name, value in mine.state_dict().items():
            assert torch.equal(theirs.state_dict()[name], value), name
    assert found.tokenizer.fingerprint() == parts.tokenizer.fingerprint()
    assert set(verify(path).differences.values()) == {0.0}
    model = load(path, device="cpu")
    vectors = model.embed(inputs)
    assert vectors.shape[0] == len(inputs)
    assert np.isfinite(vectors).all()
    if parts.document is not None:
        found_documents = model.search(inputs, [document for _, document in pairs], k=2)
        assert found_documents.positions.shape == (len(inputs), 2)
        assert np.isfinite(found_documents.scores).all()
    elif trial.target is not None:
        steps = trial.target.outputs if trial.target.kind == "forecast" else 1  # a row an input and step
        assert len(model.predict_df(inputs)) == len(inputs) * steps


def test_shipped_checkpoints_verify(shipped: str) -> None:
    """Every checkpoint that the plugin names is there, whole, and gives its reference outputs."""
    report = verify(shipped)
    assert all(gap <= report.tolerance for gap in report.differences.values())
    assert load_checkpoint(shipped).manifest.name == shipped


def test_audits_read_the_sketch_that_a_checkpoint_carries(shipped: str) -> None:
    """Tasks that begin from a checkpoint compare test records with its sketch, not with its corpus anew."""
    folder = resolve_ref(shipped)
    carried = read_sketch(folder, read_manifest(folder).sketch)
    for task in of_domains("task", [shipped.partition("/")[0]]):
        cfg = to_plain(compose(verb_of(task), task))
        described = AuditSettings.split_from(cfg.get("audit"))[1]
        if cfg.get("checkpoint") == shipped and described.get("_target_"):
            assert carried is not None, f"{task} audits, and {shipped} carries no sketch"
            assert describe_similarity(instantiate(described)) == carried.similarity, f"audit of {task}"


def test_bad_files_are_refused_in_one_message(bad_file: BadFile, workshop: Workshop, tmp_path: Path) -> None:
    """A file that cannot be used is refused by name, with what is wrong and what to do."""
    path = tmp_path / bad_file.name
    path.write_bytes(bad_file.content)
    cfg = to_plain(compose("finetune", bad_file.task, [f"data.path={path}", *bad_file.settings]))
    with pytest.raises(ScizooError) as caught:
        read_task(cfg)
    message = str(caught.value)
    assert bad_file.name in message
    for words in bad_file.says:
        assert words.casefold() in message.casefold(), message
    assert caught.value.expected or caught.value.remedy, f"nothing is said of what to do: {message}"
    assert caught.value.exit_status == 2
