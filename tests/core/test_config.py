from __future__ import annotations

import functools
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from scizoo import plugins
from scizoo.cli import JOBS
from scizoo.config import allowed_packages, compose, get_class, instantiate, to_plain
from scizoo.errors import ConfigError
from scizoo.overrides import Overrides, group_of


@pytest.mark.parametrize("verb", JOBS)
def test_every_verb_composes_without_a_name(verb):
    cfg = compose(verb)
    assert cfg.task is None
    assert {"data", "split", "head", "context", "optimizer", "trainer", "seed"} <= set(cfg)
    assert OmegaConf.is_struct(cfg)


@pytest.mark.parametrize(
    "group",
    [
        "adapt",
        "backbone",
        "objective",
        "optimizer",
        "schedule",
        "trainer",
        "precision",
        "logger",
        "callbacks",
    ],
)
def test_every_shared_option_composes(group):
    for option in plugins.options(group):
        if "/" not in option:
            assert compose("finetune", None, [f"{group}={option}"]) is not None


def test_every_shared_key_is_explained():
    explained = "\n".join(path.read_text() for path in plugins.core_conf_dir().rglob("*.yaml"))
    keys = re.findall(r"^ *(\w+):(?! *$)(.*)$", explained, re.M)
    for key in {key for key, _ in keys} - {"_target_"}:
        own_line = any(name == key and "#" in rest for name, rest in keys)
        below_a_comment = re.search(rf"^#[^@]*\n(?:.*\n){{0,12}}? *{key}:", explained, re.M)
        assert own_line or below_a_comment, key


def test_a_task_overrides_what_is_shared_and_the_command_overrides_the_task(make_plugin):
    make_plugin("toy")
    assert compose("finetune", "toy/sum").adapt.mode == "probe"
    assert compose("finetune", "toy/sum", ["adapt=lora"]).adapt.mode == "lora"
    assert compose("evaluate", "toy/sum", ["part=test"]).part == "test"
    assert compose("finetune", None, ["task=toy/sum"]).task.name == "toy/sum"


def test_the_search_path_works_in_an_ordinary_hydra_program(make_plugin, tmp_path):
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    make_plugin("toy")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        cfg = hydra_compose("finetune", overrides=["task=toy/sum"])
        # and scizoo composes inside of it without disturbing it
        assert compose("finetune", "toy/sum").task == cfg.task
        assert hydra_compose("finetune").task is None


def test_a_users_folder_shadows_the_plugin(make_plugin, tmp_path):
    make_plugin("toy")
    mine = tmp_path / "mine" / "task" / "toy" / "sum.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\ntask: {name: mine}\n")
    plugins.add_user_conf_dir(tmp_path / "mine")
    assert compose("finetune", "toy/sum").task.name == "mine"


def test_broken_yaml_is_named_and_breaks_only_its_own_runs(make_plugin):
    make_plugin("toy")
    make_plugin("bad", files={"conf/task/bad/sum.yaml": "a: [1\n"})
    assert compose("finetune", "toy/sum").task.name == "toy/sum"
    with pytest.raises(ConfigError, match=r"bad.sum\.yaml"):
        compose("finetune", "bad/sum")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("trainer.max_stepz=3", "trainer.max_steps"),
        ("max_steps=3", "trainer.max_steps"),
        ("optimzer=adamw", "optimizer"),
        ("+modle=tiny", "modle"),
        ("+context.windw=3", "context."),
        ("++sead=3", "seed"),
        ("trainer=gpuu", "gpu"),
        ("backbone=bert-tny", "bert-tiny"),
        ("task=toy/smu", "toy/sum"),
        ("seed=1,2", "-m"),
        ("hydra.run.dir=x", "run_dir"),
        ("loose", "key=value"),
        ("data.path=[1,", "quotes"),
    ],
)
def test_a_mistake_is_refused_with_a_hint(make_plugin, word, hint):
    make_plugin("toy")
    with pytest.raises(ConfigError) as caught:
        compose("finetune", None, [word])
    assert hint in str(caught.value)
    assert word.partition("=")[0].lstrip("+") in str(caught.value)


@pytest.mark.parametrize("wrong", ["toy/smu", "sum", "toy"])
def test_an_unknown_name_is_refused_with_a_hint(make_plugin, wrong):
    make_plugin("toy")
    with pytest.raises(ConfigError, match="toy/sum"):
        compose("finetune", wrong)


def test_keys_are_added_only_where_anything_goes(make_plugin):
    make_plugin("toy")
    assert compose("finetune", None, ["+trainer.profiler=simple"]).trainer.profiler == "simple"
    assert compose("finetune", "toy/sum", ["+data.mark=1"]).data.mark == 1  # its class is asked later
    assert compose("finetune", None, ["++seed=3"]).seed == 3
    with pytest.raises(ConfigError, match=r"evaluation\."):
        compose("finetune", None, ["+evaluation.levle=0.9"])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/a=b/c.fa", "/a=b/c.fa"),
        ("'/a=b/c.fa'", "/a=b/c.fa"),
        ("[/a=b/c.fa,d.fa,'e=f']", ["/a=b/c.fa", "d.fa", "e=f"]),
        ("{k:/a=b,l:2}", {"k": "/a=b", "l": 2}),
        ("s3://bucket/x?versionId=1&part=2", "s3://bucket/x?versionId=1&part=2"),
        ("pypi:thing==1.2!a/b.csv#sha256=00ff", "pypi:thing==1.2!a/b.csv#sha256=00ff"),
        ("it's=x", "it's=x"),
        ("C:\\a=b\\", "C:\\a=b\\"),
        ("reads (1).fa", "reads (1).fa"),
        ("${oc.env:HOME_OF_TEST}/a=b", "/home/a=b"),
        ("3", 3),
        ("null", None),
    ],
)
def test_values_mean_what_was_typed(monkeypatch, typed, meant):
    monkeypatch.setenv("HOME_OF_TEST", "/home")
    assert to_plain(compose("finetune", None, [f"checkpoint={typed}"]))["checkpoint"] == meant


@given(
    st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters=",$"), min_size=1).map(
        str.strip
    )
)
def test_a_path_that_holds_an_equals_sign_arrives_as_it_is(text):
    path = f"/a=b/{text}"
    (override,) = Overrides.parse("finetune", None, [f"checkpoint={path}"]).parsed
    assert override.value() == path


def test_a_sweep_keeps_its_choices():
    request = Overrides.parse(
        "finetune", None, ["checkpoint=/a=1,/b=2", "seed=range(1,9,step=2)"], sweep=True
    )
    first, second = request.parsed
    assert [getattr(value, "text", value) for value in first.sweep_iterator()] == ["/a=1", "/b=2"]
    assert list(second.sweep_iterator()) == [1, 3, 5, 7]
    assert request.compose().checkpoint == "/a=1"
    with pytest.raises(ConfigError, match="bf16"):
        Overrides.parse("finetune", None, ["precision=32,bf17"], sweep=True)


def test_numbers_and_null_choose_options():
    assert compose("finetune", None, ["precision=32"]).precision == "32-true"
    assert compose("finetune", None, ["logger=null"]).logger == {}
    assert compose("finetune", None, ["backbone=null"]).backbone is None
    assert group_of("pretrain") == "recipe"


def test_objects_are_made_from_the_inside_out(make_plugin):
    make_plugin("toy")
    described = {
        "_target_": "scizoo_toy.things.Things",
        "path": {"_target_": "scizoo_toy.things.Things", "path": "inner"},
        "size": ["a", {"b": 1}],
    }
    made = instantiate(OmegaConf.create(described))
    assert made.path.path == "inner"
    assert made.size == ["a", {"b": 1}]
    assert type(made.size[1]) is dict
    later = instantiate({"_target_": "scizoo_toy.things.Things", "_partial_": True, "size": 2})
    assert isinstance(later, functools.partial)
    assert later("x").size == 2
    assert instantiate({"_target_": "scizoo_toy.things.Things", "path": "a"}, path="b").path == "b"
    assert instantiate({"_target_": "scizoo_toy.things.Things"}, "positional").path == "positional"
    raw = {"_target_": "scizoo_toy.things.Things", "_recursive_": False, "path": {"_target_": "os.system"}}
    assert instantiate(raw).path == {"_target_": "os.system"}
    assert instantiate(None) is None


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "torch.os.system",
        "torch.hub.load",
        "torch.load",
        "torch.serialization.pickle.loads",
        "torch.multiprocessing.Process",
        "torch.distributed.elastic.multiprocessing.subprocess_handler.SubprocessHandler",
        "sklearn.utils.os.system",
        "scizoo.data.sources.resolve",
        "scizoo.cli.main",
        "scizoo.plugins.importlib.import_module",
        "scizoo.config.importlib.import_module",
        "scizoo.cli",
        "scizoo_absent.Thing",
        "scizoo",
        "torch..nn",
        "",
    ],
)
def test_a_target_outside_the_allow_list_is_refused_by_its_key(target):
    with pytest.raises(ConfigError, match=r"head\.inner\._target_"):
        instantiate({"head": {"inner": {"_target_": target}}})


@pytest.mark.parametrize(
    "target",
    [
        "torch.nn.Linear",
        "torch.optim.AdamW",
        "torch.optim.lr_scheduler.StepLR",
        "torchmetrics.classification.MulticlassAccuracy",
        "sklearn.linear_model.LogisticRegression",
        "sklearn.model_selection.GroupKFold",
        "lightning.pytorch.callbacks.EarlyStopping",
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.Trainer",
        "transformers.BertConfig",
        "transformers.BertModel",
        "peft.LoraConfig",
        "scizoo.domain.Domain",
    ],
)
def test_what_a_config_needs_is_allowed(target):
    assert callable(get_class(target))


def test_wrong_settings_are_named_with_the_nearest_right_ones(make_plugin):
    make_plugin("toy")
    assert "scizoo_toy" in allowed_packages()
    cfg = OmegaConf.create({"data": {"_target_": "scizoo_toy.things.Things", "pth": "a"}})
    with pytest.raises(ConfigError, match=r"data\.pth is no setting of Things: did you mean 'path'"):
        instantiate(cfg.data)
    with pytest.raises(ConfigError, match=r"data\.path must be given"):
        instantiate({"data": {"_target_": "scizoo_toy.things.Things"}})
    with pytest.raises(ConfigError, match="did you mean 'Things'"):
        instantiate({"_target_": "scizoo_toy.things.Thing"})


def test_a_missing_value_is_named(make_plugin):
    make_plugin("toy")
    with pytest.raises(ConfigError, match=r"data\.path must be given"):
        to_plain(compose("finetune", "toy/sum"))


def test_the_composed_config_is_plain_yaml(make_plugin):
    make_plugin("toy")
    cfg = compose("finetune", "toy/sum", ["data.path=/a=b"])
    assert yaml.safe_load(OmegaConf.to_yaml(cfg))["data"]["path"] == "/a=b"
