"""Segmentation through every job: a small domain of bright shapes, from fine-tuning to predicted files."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import scizoo
from scizoo.cli import main
from scizoo.config import compose, to_plain
from scizoo.data.task import read_task
from scizoo.errors import ConfigError, ScizooError
from scizoo.evaluation.cells import data_digest
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.report.render import schema

SHAPES = '''
import numpy as np

from scizoo.data.augment import Augment
from scizoo.data.maps import LazyMap
from scizoo.data.placement import Placement
from scizoo.data.ragged import Ragged
from scizoo.data.records import Dataset, Record
from scizoo.data.tokenizer import Tokenizer
from scizoo.evaluation.contours import draw_contours
from scizoo.evaluation.pixels import PixelBaseline

SIDE = 32


class Shapes(Dataset):
    """A bright square (value 5) and, in most, a dim disc (value 9) on noise, of different sizes."""

    classes = {0: "nothing", 5: "square", 9: "disc"}

    def __init__(self, count=24, seed=0, path=None):
        super().__init__()
        self.count, self.seed = count, seed

    name = "shapes"

    def fingerprint(self):
        return f"{self.count}-{self.seed}"

    def records(self):
        rng = np.random.default_rng(self.seed)
        for number in range(self.count):
            height, width = 40 + 2 * (number % 3), 48
            truth = np.zeros((height, width), dtype=np.uint8)
            top, left = rng.integers(2, 16, 2)
            truth[top : top + 14, left : left + 14] = 5
            if number % 4:
                rows, columns = np.indices(truth.shape)
                truth[(rows - 30) ** 2 + (columns - 38) ** 2 < 36] = 9
            truth[0, 0] = 255
            image = 2.0 * (truth == 5) + 1.0 * (truth == 9) + 0.3 * rng.normal(size=truth.shape)
            yield Record(
                f"s {number}",
                image.astype(np.float32),
                LazyMap(truth.shape, lambda truth=truth: truth) if number % 2 else truth,
                group=f"patient {number // 2}",
                meta={"spacing": (0.5, 0.5), "site": "ab"[number // 2 % 2]},
            )


class Planes(Tokenizer):
    """The image, its proportions kept, on a plane of 32 x 32."""

    main_input = "pixel_values"

    def settings(self):
        return {}

    def fingerprint(self):
        return "planes"

    def input_sizes(self):
        return {"in_chans": 1, "img_size": SIDE}

    def placement(self, image):
        return Placement.padded(image.shape, (SIDE, SIDE))

    def encode(self, inputs):
        rows = [self.placement(one).fit_image(one)[None, None] for one in inputs]
        return {"pixel_values": Ragged.from_rows(rows, np.float32)}


class Mirror(Augment):
    """Left and right."""

    def views(self, image):
        return [image, image[:, ::-1].copy()]

    def label_views(self, labels):
        return [labels, labels[:, ::-1]]


class Pixels(PixelBaseline):
    title = "the pixels"


def draw(axes, record, prediction):
    axes.imshow(record.input)
    assert set(np.unique(prediction)) <= {0, 5, 9} and prediction.shape == record.input.shape
    draw_contours(axes, record.target, prediction)


def inputs():
    return [np.zeros((20, 30), dtype=np.float32), np.ones((30, 20), dtype=np.float32)]
'''
TASK = """# @package _global_
task: {name: toy/shapes, summary: Shapes, domain: toy, kind: segmentation, metric: mean_dice}
data: {_target_: scizoo_toy.shapes.Shapes, path: null}
target: {ignore: 255}
split: {_target_: scizoo.data.splits.GroupSplitter, fractions: [0.5, 0.25, 0.25], seed: 0}
augment: {_target_: scizoo_toy.shapes.Mirror}
head: {_target_: scizoo.models.segmentation.SegmentationHead, width: 16}
baselines: {pixels: {_target_: scizoo_toy.shapes.Pixels, trees: 10, scales: [2.0], pixels: 100}}
optimizer: {lr: 0.005}
batching: {batch_size: 4, eval_batch_size: 4}
trainer: {max_epochs: 20, accelerator: cpu}
context: {max_length: 1}
evaluation: {resamples: 60, subgroups: [site]}
precision: "32"
logger: null
"""
NEW = """
tokenizer: {_target_: scizoo_toy.shapes.Planes}
backbone:
  _target_: scizoo.models.timm_backbone.TimmBackbone.from_config
  architecture: convnext_atto
  depths: [1, 1, 1, 1]
  dims: [8, 16, 16, 16]
"""
COMPARE = """
adapts: [probe, full]
labels: [4, all]
seeds: [0, 1]
tuning: {trials: 2}
fit: {min_steps: 2, validations: 1}
"""
FACE = """from scizoo.domain import Domain

DOMAIN = Domain(
    name="toy", summary="About toys", package="scizoo_toy", picture="scizoo_toy.shapes.draw",
    reference="scizoo_toy.shapes.inputs",
)
"""


@pytest.fixture
def toy(make_plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    make_plugin(
        "toy",
        face=FACE,
        files={
            "shapes.py": SHAPES,
            "conf/task/toy/shapes.yaml": TASK,
            "conf/task/toy/new.yaml": TASK.replace("toy/shapes", "toy/new") + NEW,
            "conf/task/toy/contest.yaml": TASK.replace("max_epochs: 20", "max_epochs: 1") + COMPARE,
        },
    )
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_a_network_learns_shapes_through_every_job(toy, tmp_path: Path):
    assert main(["finetune", "toy/new", "versus=[baselines]", "run_dir=fine"]) == 0
    metrics = json.loads((tmp_path / "fine/metrics.json").read_text())
    values = {(row["contender"], row["metric"]): row for row in metrics["metrics"]}
    found = values["scratch", "mean_dice"]
    assert found["value"] > 0.6 and found["low"] < found["value"] < found["high"]
    assert values["pixels", "mean_dice"]["value"] > 0.5
    assert 0 < values["scratch", "hd95"]["value"] < 32 and values["scratch", "iou"]["value"] < found["value"]
    each = [values["scratch", f"dice_{name}"]["value"] for name in ("square", "disc")]
    assert found["value"] == pytest.approx(np.mean(each))

    report = json.loads((tmp_path / "fine/report.json").read_text())
    jsonschema.validate(report, schema())
    assert report["errors"]["unit"] == "mm" and len(report["errors"]["by_class"]) == 2
    assert report["calibration"] is None and report["conformal"] is None and report["operating"] is None
    assert report["mistakes"][0]["picture"].startswith("data:image/png")
    assert report["subgroups"]["columns"][0]["column"] == "site"
    page = (tmp_path / "fine/report.html").read_text()
    assert "HD95 (mm)" in page and "figure-dice" in page and "truth dashed" in page
    outputs = Outputs.load(tmp_path / "fine/outputs/scratch-test.parquet")
    assert outputs.kind == "segmentation" and outputs.classes == ("square", "disc")

    # the checkpoint comes back, bit for bit, and knows its classes
    assert main(["verify", str(tmp_path / "fine/checkpoint")]) == 0
    model = scizoo.load(tmp_path / "fine/checkpoint")
    assert model.kind == "segmentation" and model.classes == ["nothing", "square", "disc"]
    image = np.zeros((44, 48), dtype=np.float32)
    image[10:24, 10:24] = 2.0
    prediction = model.predict([image, image.T])
    assert [labels.shape for labels in prediction.maps] == [(44, 48), (48, 44)]
    truth = np.zeros((44, 48), dtype=bool)
    truth[10:24, 10:24] = True
    said = prediction.maps[0] == 5
    assert 2 * (said & truth).sum() / (said.sum() + truth.sum()) > 0.6
    frame = model.predict_df([image])
    assert frame.loc[0, "pixels_square"] == said.sum()
    assert model.predict([]).maps == [] and list(model.segment([])) == []
    assert model.embed([image]).shape == (1, 16)
    with pytest.raises(ScizooError, match="coverage"):
        model.predict([image], coverage=0.9)

    # predict: files with the values of the user's maps
    ref = f"checkpoint={tmp_path / 'fine/checkpoint'}"
    assert main(["predict", "toy/shapes", ref, "run_dir=said"]) == 0
    table = pd.read_csv(tmp_path / "said/predictions.csv")
    assert len(table) == 24 and table.loc[3, "file"] == "maps/s_3.png"
    labels = np.asarray(Image.open(tmp_path / "said" / table.loc[3, "file"]))
    assert labels.shape == (40, 48) and set(np.unique(labels)) <= {0, 5, 9}
    assert (labels == 5).sum() == table.loc[3, "pixels_square"] == 4 * table.loc[3, "area_square"]

    # evaluate: the same numbers as in training
    assert main(["evaluate", "toy/shapes", ref, "run_dir=judged"]) == 0
    judged = json.loads((tmp_path / "judged/metrics.json").read_text())["metrics"]
    assert judged["mean_dice"]["value"] == pytest.approx(found["value"])
    assert judged["hd95_disc"]["value"] == pytest.approx(values["scratch", "hd95_disc"]["value"])
    jsonschema.validate(json.loads((tmp_path / "judged/report.json").read_text()), schema())

    # go on from the checkpoint: frozen and whole
    words = [ref, "trainer.max_epochs=1", "versus=[]"]
    for adapt in ("probe", "full"):
        assert main(["finetune", "toy/shapes", *words, f"adapt={adapt}", f"run_dir={adapt}"]) == 0
    first, second = (
        scizoo.load(tmp_path / name / "checkpoint").checkpoint.backbone.state_dict()
        for name in ("fine", "probe")
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_compare_ranks_networks_baselines_and_the_floor(toy, tmp_path: Path):
    assert main(["finetune", "toy/new", "trainer.max_epochs=4", "versus=[]", "run_dir=base"]) == 0
    words = [f"checkpoint={tmp_path / 'base/checkpoint'}", "jobs=1"]
    assert main(["compare", "toy/contest", *words, "run_dir=duel"]) == 0
    report = json.loads((tmp_path / "duel/report.json").read_text())
    jsonschema.validate(report, schema())
    roles = {row["role"] for row in report["table"]["rows"]}
    assert roles == {"pretrained", "scratch", "baseline", "floor"}
    assert "mean Dice" in report["verdict"]["sentence"]
    floor = next(row for row in report["table"]["rows"] if row["role"] == "floor")
    assert floor["name"] == "the mean map"
    assert report["comparisons"] and report["mistakes"][0]["picture"]
    # what is done is kept, with its maps
    assert main(["compare", "toy/contest", *words, "run_dir=again"]) == 0
    again = json.loads((tmp_path / "again/report.json").read_text())
    assert again["table"] == report["table"] and again["mistakes"] == report["mistakes"]


def test_what_is_wrong_is_said_before_anything_is_trained(toy, tmp_path: Path, capsys):
    cfg = to_plain(compose("finetune", "toy/shapes", []))
    digest = data_digest(read_task(cfg))
    assert data_digest(read_task(cfg)) == digest
    other = read_task({**cfg, "target": {"ignore": [255, 9], "classes": {5: "square"}}})
    assert data_digest(other) != digest and other.target.classes == ["background", "square"]
    with pytest.raises(ConfigError, match=r"target\.uncertain is unknown"):
        read_task({**cfg, "target": {"uncertain": "ignore"}})
    for words, said in (
        ("task.metric=mcc", "does not apply"),
        ("evaluation.threshold.rule=youden", "threshold"),
        ("target.ignore=[]", "255"),
    ):
        assert main(["finetune", "toy/new", words, "versus=[]", "run_dir=bad"]) != 0
        assert said in capsys.readouterr().err
