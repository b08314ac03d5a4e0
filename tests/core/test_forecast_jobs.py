"""Forecasts through every job: a small domain of seasonal series, from pre-training to predictions."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch

import scizoo
from scizoo.cli import main
from scizoo.config import compose, to_plain
from scizoo.data.task import read_task
from scizoo.errors import ConfigError, ScizooError
from scizoo.evaluation.cells import CellStore, cell_key, data_digest
from scizoo.evaluation.contenders import network
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.report.render import schema
from scizoo.evaluation.study import entrants, run_study
from scizoo.evaluation.workers import Lanes
from scizoo.training.features import KEY, FeatureDataset

SERIES = '''
import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.records import Dataset, Record
from scizoo.data.tokenizer import Tokenizer
from scizoo.evaluation.baseline import Baseline

SEASON, PATCH = 8, 4


class Waves(Dataset):
    """Seasonal series of any size; windows of a history, and its future where one is wanted."""

    def __init__(self, series=12, windows=3, history=32, horizon=6, seed=0, path=None):
        super().__init__()
        self.settings = (series, windows, history, horizon, seed)

    name = "waves"

    def fingerprint(self):
        return "-".join(map(str, self.settings))

    def records(self):
        series, windows, history, horizon, seed = self.settings
        rng = np.random.default_rng(seed)
        for number in range(series):
            long = history + horizon + 5 * (windows - 1)
            size = 10.0 ** rng.integers(-1, 4)
            wave = np.sin(2 * np.pi * (np.arange(long) + rng.integers(SEASON)) / SEASON)
            values = size * (5 + 2 * wave + 0.2 * rng.normal(size=long))
            for window in range(windows):
                start = 5 * window
                future = values[start + history : start + history + horizon].copy()
                if number == 0 and horizon:
                    future[1] = np.nan
                yield Record(
                    f"s{number}-{window}",
                    values[start : start + history],
                    future if horizon else None,
                    group=f"s{number}",
                    meta={"window": window},
                )

    def future_index(self, record, steps):
        name, window = record.id.split("-")
        return {"unique_id": [name] * steps, "ds": range(100 * int(window), 100 * int(window) + steps)}


class Patches(Tokenizer):
    """Patches of values, scaled by mean and spread of the history."""

    main_input = "values"

    def __init__(self, size=PATCH):
        self.size = size

    def settings(self):
        return {"size": self.size}

    def fingerprint(self):
        return f"patches-{self.size}"

    def input_sizes(self):
        return {"features": self.size}

    def encode(self, inputs):
        rows = {"values": [], "loc": [], "scale": []}
        for one in inputs:
            whole = np.asarray(one, dtype=float)
            whole = whole[len(whole) % self.size :]
            loc, scale = whole.mean(), whole.std() + 1e-9
            rows["values"].append(((whole - loc) / scale).reshape(-1, self.size).astype(np.float32))
            for key, value in (("loc", loc), ("scale", scale)):
                rows[key].append(np.full(len(whole) // self.size, value, dtype=np.float32))
        return {key: Ragged.from_rows(values) for key, values in rows.items()}


class SeasonalNaive(Baseline):
    """The values a season ago; the spread of its errors grows with the seasons ahead."""

    title = "the seasonal naive method"

    def fit(self, records, targets, groups=None):
        self.horizon_ = targets.shape[1]
        return self

    def error_scale(self, records):
        return np.array([np.abs(r.input[SEASON:] - r.input[:-SEASON]).mean() for r in records])

    def predict_quantiles(self, records, levels):
        from scipy.stats import norm

        last = np.array([r.input[-SEASON:] for r in records])
        steps = np.arange(self.horizon_)
        middle = last[:, steps % SEASON]
        spread = 1.25 * self.error_scale(records)[:, None] * np.sqrt(1 + steps // SEASON)
        return middle[..., None] + spread[..., None] * norm.ppf(levels)


class Flat(Baseline):
    """The mean of the history."""

    title = "the mean of the history"
    learns = False
    fits = 0

    def fit(self, records, targets, groups=None):
        Flat.fits += 1
        self.horizon_ = targets.shape[1]
        return self

    def predict_quantiles(self, records, levels):
        from scipy.stats import norm

        middle = np.array([np.quantile(r.input, levels) for r in records])
        return np.repeat(middle[:, None, :], self.horizon_, axis=1)


def draw(axes, record, prediction):
    quantiles = np.array(prediction["quantiles"])
    ahead = len(record.input) + np.arange(len(quantiles))
    axes.plot(record.input)
    axes.fill_between(ahead, quantiles[:, 0], quantiles[:, -1], alpha=0.3)
    axes.plot(ahead, prediction["median"])
'''

COMMON = """
context: {max_length: 8}
precision: "32"
logger: null
"""
BACKBONE = """
tokenizer: {_target_: scizoo_toy.series.Patches}
backbone:
  _target_: scizoo.models.continuous.ContinuousBackbone.from_config
  model_type: llama
  config: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2,
    intermediate_size: 32}
"""
RECIPE = f"""# @package _global_
defaults:
  - override /objective: next-patch
  - _self_
recipe: {{name: toy/waves, summary: Waves, kind: forecast}}
data: {{_target_: scizoo_toy.series.Waves, series: 60, windows: 2, horizon: 0, seed: 7}}
split: {{fractions: [0.9, 0.1, 0.0]}}
optimizer: {{lr: 0.01}}
batching: {{batch_size: 16}}
trainer: {{max_steps: 60, accelerator: cpu, val_check_interval: null}}
{COMMON}{BACKBONE}"""
TASK = f"""# @package _global_
task: {{name: toy/ahead, summary: Waves ahead, domain: toy, kind: forecast, metric: mase}}
data: {{_target_: scizoo_toy.series.Waves, path: null, horizon: 6}}
split: {{_target_: scizoo.data.splits.GroupSplitter, fractions: [0.4, 0.2, 0.4], seed: 0}}
head: {{_target_: scizoo.models.quantiles.QuantileHead}}
floor: {{_target_: scizoo_toy.series.SeasonalNaive}}
baselines: {{flat: {{_target_: scizoo_toy.series.Flat}}}}
optimizer: {{lr: 0.003}}
trainer: {{max_epochs: 1, accelerator: cpu}}
evaluation: {{resamples: 50, subgroups: [window]}}
{COMMON}"""
COMPARE = """
adapts: [none, probe, full]
labels: [4, all]
seeds: [0, 1]
tuning: {trials: 2}
fit: {min_steps: 2, validations: 1}
"""
PATCHES = "scizoo.models.forecast_heads.PatchQuantileHead"
FACE = """from scizoo.domain import Domain

DOMAIN = Domain(
    name="toy", summary="About toys", package="scizoo_toy", picture="scizoo_toy.series.draw"
)
"""


@pytest.fixture
def toy(make_plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Path:
    make_plugin(
        "toy",
        face=FACE,
        files={
            "series.py": SERIES,
            "conf/task/toy/ahead.yaml": TASK,
            "conf/task/toy/contest.yaml": TASK + COMPARE,
            "conf/recipe/toy/waves.yaml": RECIPE,
        },
    )
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert main(["pretrain", "toy/waves", "run_dir=pretrained"]) == 0
    return tmp_path / "pretrained" / "checkpoint"


def test_a_pretrained_model_forecasts_zero_shot_through_every_job(toy: Path, tmp_path: Path):
    model = scizoo.load(toy)
    assert model.kind == "forecast" and model.checkpoint.target is None
    before = {name: value.clone() for name, value in model.checkpoint.backbone.state_dict().items()}
    with pytest.raises(ScizooError, match="how many"):
        model.predict([np.arange(32.0)])

    # finetune with adapt=none trains nothing, judges, and keeps the horizon
    words = ["adapt=none", f"checkpoint={toy}", "versus=[baselines]"]
    assert main(["finetune", "toy/ahead", *words, "run_dir=zero"]) == 0
    metrics = json.loads((tmp_path / "zero/metrics.json").read_text())
    zero = metrics["contenders"][0]
    assert zero["title"] == "checkpoint zero-shot" and zero["role"] == "pretrained"
    assert zero["settings"]["steps"] == 0 and zero["cost"]["trained_parameters"] == 0
    values = {(row["contender"], row["metric"]): row["value"] for row in metrics["metrics"]}
    assert values["none", "mase"] < 0.7 * values["flat", "mase"], "it has learnt the season"
    assert values["none", "relative"] < 1.6
    fitted = scizoo.load(tmp_path / "zero/checkpoint")
    after = fitted.checkpoint.backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    heads = [one.checkpoint.head.state_dict() for one in (model, fitted)]
    assert all(torch.equal(value, heads[1][name]) for name, value in heads[0].items())
    assert fitted.checkpoint.target.horizon == 6
    assert main(["verify", str(tmp_path / "zero/checkpoint")]) == 0

    report = json.loads((tmp_path / "zero/report.json").read_text())
    jsonschema.validate(report, schema())
    assert report["calibration"]["before"]["steps"] and report["ood"] is None
    assert report["mistakes"][0]["picture"].startswith("data:image/png")
    assert "MASE" in report["verdict"]["sentence"] and "lower" in report["verdict"]["sentence"]

    # fine-tuned patch by patch it begins where zero-shot stands, and comes back from its checkpoint
    words = [f"checkpoint={toy}", "versus=[]", "optimizer.lr=0.0001", f"head._target_={PATCHES}"]
    assert main(["finetune", "toy/ahead", *words, "run_dir=patched"]) == 0
    rows = json.loads((tmp_path / "patched/metrics.json").read_text())["metrics"]
    near = {row["metric"]: row["value"] for row in rows}
    assert near["mase"] == pytest.approx(values["none", "mase"], rel=0.1)
    patched = scizoo.load(tmp_path / "patched/checkpoint")
    assert patched.predict([np.arange(32.0)], horizon=9).quantiles.shape == (1, 9, 9)

    # the Python face: any horizon, levels, names of the steps
    inputs = [np.sin(np.arange(30) * np.pi / 4) + 5, 1000 * (np.sin(np.arange(45) * np.pi / 4) + 5)]
    own = fitted.predict(inputs)
    assert own.quantiles.shape == (2, 6, 9) and (np.diff(own.quantiles, axis=-1) >= 0).all()
    far = model.predict(inputs, horizon=21, levels=[0.25, 0.5])
    assert far.quantiles.shape == (2, 21, 2) and far.levels == [0.25, 0.5]
    np.testing.assert_allclose(far.quantiles[:, :4, 1], own.median[:, :4], rtol=1e-5)
    table = fitted.predict_df(inputs, horizon=3, levels=[0.1, 0.9])
    assert list(table.columns) == ["id", "step", "prediction", "0.1", "0.9"] and len(table) == 6
    assert table["step"].tolist() == [1, 2, 3, 1, 2, 3] and (table["0.1"] <= table["0.9"]).all()
    with pytest.raises(ConfigError, match="beyond"):
        fitted.predict(inputs, levels=[0.01])
    with pytest.raises(ScizooError, match="takes no coverage"):
        fitted.predict(inputs, coverage=0.9)
    assert len(fitted.predict([])) == 0
    paths = model.sample_paths(inputs, 5, horizon=9, seed=1)
    assert paths.shape == (2, 5, 9)
    np.testing.assert_array_equal(paths, model.sample_paths(inputs, 5, horizon=9, seed=1))
    assert 100 < np.median(paths[1] / paths[0]) < 10_000

    # predict and evaluate as jobs; the data name the steps
    words = [f"checkpoint={toy}", "horizon=4", "levels=[0.1,0.5,0.9]"]
    assert main(["predict", "toy/ahead", *words, "run_dir=ahead"]) == 0
    table = pd.read_csv(tmp_path / "ahead/predictions.csv")
    assert list(table.columns) == ["unique_id", "ds", "prediction", "0.1", "0.5", "0.9"]
    assert len(table) == 36 * 4 and table["ds"].iloc[5] == 101
    assert main(["evaluate", "toy/ahead", f"checkpoint={toy}", "run_dir=judged"]) == 0
    found = json.loads((tmp_path / "judged/metrics.json").read_text())["metrics"]
    assert found["mase"]["value"] == pytest.approx(values["none", "mase"], rel=1e-6)
    jsonschema.validate(json.loads((tmp_path / "judged/report.json").read_text()), schema())


def test_compare_judges_forecasts_by_windows_and_runs_zero_shot_once(toy: Path, tmp_path: Path, capsys):
    from scizoo_toy.series import Flat

    words, fits = [f"checkpoint={toy}", "jobs=1"], Flat.fits
    assert main(["compare", "toy/contest", *words, "run_dir=one"]) == 0
    assert Flat.fits == fits + 1, "what does not learn is computed once for all labels and seeds"
    report = json.loads((tmp_path / "one/report.json").read_text())
    jsonschema.validate(report, schema())
    assert "training window" in report["verdict"]["sentence"]
    rows = {(row["name"], row["labels"]): row for row in report["table"]["rows"]}
    names = {name for name, _ in rows}
    assert names == {
        "waves zero-shot",
        "waves with a linear probe",
        "waves fine-tuned",
        "waves's architecture from scratch",
        "the mean of the history",
        "the seasonal naive method",
    }
    most = max(labels for _, labels in rows)
    zero = [rows["waves zero-shot", labels]["scores"]["mase"]["value"] for labels in (4, most)]
    assert zero[0] == zero[1], "labels change nothing for what is not trained"
    cells = pd.read_csv(tmp_path / "one/cells.csv")
    assert len(cells[cells["contender"] == "none"]) == 4
    floor = rows["the seasonal naive method", most]["scores"]
    assert floor["relative"]["value"] == pytest.approx(1.0)
    tuned = {one["name"]: one for one in report["tuning"]["contenders"]}
    assert len(tuned["waves zero-shot"]["trials"]) == 1
    assert {one["role"] for one in report["comparisons"]} == {"scratch", "floor"}, "the best on validation"
    costs = {one["name"]: one for one in report["cost"]}
    assert costs["waves zero-shot"]["trained_parameters"] == 0 and costs["waves zero-shot"]["steps"] == 0
    # What is done is found again, in several processes too; the zero-shot cell was computed once.
    cfg = to_plain(compose("compare", "toy/contest", words))
    done = run_study(
        cfg,
        read_task(cfg),
        run_dir=tmp_path,
        cache=tmp_path / "cache/tokens",
        store=CellStore(tmp_path / "cache/cells"),
        lanes=Lanes(1, 1),
    )
    assert done.computed == 0 and not done.failed
    digest = data_digest(read_task(cfg))
    none = next(one for one in entrants(cfg) if one.untrained)
    keys = {cell_key(cfg, digest, none, labels=labels, seed=seed) for labels in (4, 9) for seed in (0, 1)}
    assert len(keys) == 1
    other = {**cfg, "floor": {"_target_": "scizoo_toy.series.SeasonalNaive", "seed": 1}}
    assert cell_key(other, digest, none, labels=4, seed=0) not in keys, "outputs hold the floor"
    outputs = Outputs.load(next((tmp_path / "one/outputs").glob("none-*-test.parquet")))
    assert outputs.naive.shape == outputs.targets.shape and outputs.scale.shape == (len(outputs),)
    # What cannot be is refused before anything is trained.
    with pytest.raises(ConfigError, match="floor is not given"):
        entrants({**cfg, "floor": None})
    with pytest.raises(ConfigError, match="adapt=none"):
        network({}, {"mode": "none"})
    for verb, name in (("finetune", "ahead"), ("compare", "contest")):
        more = ["adapt=none", "versus=[]"] if verb == "finetune" else []
        more += [words[0], "+head.quantiles=[0.05,0.5]", "run_dir=no"]
        assert main([verb, f"toy/{name}", *more]) == 2
        assert "the level 0.05 lies beyond" in capsys.readouterr().err


def test_frozen_features_bring_location_and_scale():
    class Base:
        keys = ("values", "loc", "scale")

        def __getitem__(self, number: int) -> dict[str, np.ndarray]:
            return {"values": np.ones((3, 2)), "loc": np.arange(3.0), "scale": np.full(3, 7.0)}

    found = FeatureDataset(Base(), np.ones((4, 5)), ("loc", "scale", "absent"))
    item = found[1]
    assert item[KEY].shape == (1, 5) and item["loc"].tolist() == [2.0] and item["scale"].tolist() == [7.0]
    assert set(found.pad_values) == {KEY, "loc", "scale"} == set(found.keys)
