"""Label maps piece by piece: placement, targets, distances, metrics, head and baselines."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from scizoo.data.maps import LabelMaps, LazyMap, MapTarget, spacing_of
from scizoo.data.placement import Placement
from scizoo.data.planes import label_planes
from scizoo.data.records import Record
from scizoo.data.targets import IGNORED
from scizoo.errors import ConfigError, DataError, TrainingError
from scizoo.evaluation.contours import draw_contours
from scizoo.evaluation.intervals import estimate, paired_difference
from scizoo.evaluation.map_statistics import MapStatistics, map_outputs
from scizoo.evaluation.metrics import class_metrics, get_metric, replicate, score
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.pixels import MeanMapBaseline, PixelBaseline
from scizoo.evaluation.surfaces import outline, surface_distances
from scizoo.models.segmentation import SegmentationHead
from scizoo.models.timm_backbone import TimmBackbone
from scizoo.training.metrics import ValidationMetrics


def square(shape: tuple[int, int], top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


# Placement


@pytest.mark.parametrize("how", ["stretched", "padded", "cropped"])
def test_what_goes_to_the_plane_comes_back(how: str):
    shape, plane = (40, 60), (20, 20)
    placement = getattr(Placement, how)(shape, plane)
    truth = np.zeros(shape, dtype=np.int16)
    truth[12:28, 24:36] = 1
    small = placement.map_to_plane(truth, IGNORED)
    assert small.shape == plane
    planes = np.stack([(small != 1), (small == 1)]).astype(np.float32)
    back = placement.labels_of(planes)
    both = ((back == 1) & (truth == 1)).sum()
    assert 2 * both / ((back == 1).sum() + (truth == 1).sum()) > 0.9
    # the image goes where its labels go
    image = placement.fit_image(truth.astype(float), fill=-5.0)
    inside = small != IGNORED
    assert ((image > 0.5) == (small == 1))[inside].mean() > 0.93
    assert (image[~inside] == -5.0).all()


def test_boxes_of_a_placement():
    padded = Placement.padded((40, 60), (20, 20))
    assert padded.target == (3, 0, 13, 20) and padded.source == (0, 0, 40, 60)
    small = padded.map_to_plane(np.ones((40, 60), dtype=np.int16), IGNORED)
    assert (small[:3] == IGNORED).all() and (small[16:] == IGNORED).all() and (small[3:16] == 1).all()
    cropped = Placement.cropped((40, 60), (20, 20))
    assert cropped.source == (0, 10, 40, 40)
    assert (cropped.labels_of(np.stack([np.zeros((20, 20)), np.ones((20, 20))]))[:, :10] == 0).all()
    with pytest.raises(ValueError, match="within"):
        Placement((4, 4), (2, 2), source=(0, 0, 5, 4))
    # the same size goes through unchanged, both ways
    labels = np.random.default_rng(0).integers(0, 3, (7, 9)).astype(np.int16)
    same = Placement.stretched((7, 9), (7, 9))
    assert (same.map_to_plane(labels, -1) == labels).all()
    planes = np.stack([labels == number for number in range(3)]).astype(np.float32)
    assert (same.labels_of(planes) == labels).all()


# Targets


def test_classes_are_named_or_found():
    maps = [np.array([[0, 1], [2, -1]]), np.array([[0, 0], [0, 2]])]
    found = MapTarget()
    found.fit(maps)
    assert found.classes == ["background", "1", "2"] and found.foreground == ["1", "2"]
    assert found.encode(maps)[0].tolist() == [[0, 1], [2, IGNORED]]
    named = MapTarget({0: "nothing", 7: "lung", "9": "heart"}, ignore=255)
    named.fit([np.array([[0, 7, 9, 255]], dtype=np.uint8)])
    encoded = named.encode([np.array([[9, 255, 0, 7]], dtype=np.uint8)])
    assert encoded[0].tolist() == [[2, IGNORED, 0, 1]]
    assert named.decode(np.array([2, 0, 1])).tolist() == [9, 0, 7]
    again = MapTarget.from_state(named.state())
    assert again.state() == named.state() and again.encode([np.array([[7]])])[0].tolist() == [[1]]
    assert MapTarget(["road", "car"], background=False).foreground == ["road", "car"]
    assert MapTarget({3: "vessel"}).classes == ["background", "vessel"]


def test_maps_that_cannot_be_used_are_refused_by_name():
    target = MapTarget(["background", "lung"])
    for wrong, words in (
        (np.array([[0, 3]]), "value 3"),
        (np.zeros((2, 2, 2)), "shape"),
        (np.array([[0.5]]), "no integers"),
        (None, "no label map"),
        (np.array([["a"]]), "no integers"),
    ):
        with pytest.raises(DataError, match=r"scan 1.*" + words):
            target.encode([wrong], ["scan 1"])
    with pytest.raises(DataError, match="background alone"):
        MapTarget().fit([np.zeros((3, 3), dtype=int)])
    with pytest.raises(ConfigError, match="ignored"):
        MapTarget({0: "a", 1: "b"}, ignore=[1])
    assert target.encode([np.array([[True, False]])])[0].tolist() == [[1, 0]]


def test_lazy_maps_are_read_when_they_are_needed():
    read: list[int] = []

    def load() -> np.ndarray:
        read.append(1)
        return np.array([[0, 1]])

    lazy = LazyMap((1, 2), load)
    target = MapTarget(["background", "lung"])
    maps = target.encode([lazy, lazy])
    before = len(read)
    assert isinstance(maps[np.array([1])], LabelMaps) and len(read) == before
    assert maps[0].tolist() == [[0, 1]] and len(read) == before + 1
    other = target.encode([np.array([[1, 0]]), lazy])
    assert maps.digest != other.digest == target.encode([np.array([[1, 0]]), lazy]).digest


def test_spacing_is_one_number_or_two():
    class Scan:
        spacing = (0.5, 0.25)

    assert spacing_of(Record("a", Scan())) == (0.5, 0.25)
    assert spacing_of(Record("a", 1, meta={"spacing": 2})) == (2.0, 2.0)
    assert spacing_of(Record("a", 1)) is None
    with pytest.raises(DataError, match=r"record 'a'.*spacing"):
        spacing_of(Record("a", 1, meta={"spacing": (1, -2)}))


# Distances


def test_outline_is_what_touches_the_outside():
    assert len(outline(square((9, 9), 2, 2, 5))) == 16
    assert len(outline(np.ones((4, 4), dtype=bool))) == 12


def test_distances_of_squares_by_hand():
    """Two squares of 5 x 5 pixels, two columns apart: worked out from the 16 pixels of each outline."""
    first, second = square((20, 20), 5, 5, 5), square((20, 20), 5, 7, 5)
    # Left edge (5 pixels): 2. Column 6, top and bottom: 1. Column 7, its top and bottom: 0; column 8 and 9,
    # rows 5 and 9: 0; right edge within the other square, rows 6 to 8: distance to rows 5/9 is 1, 2, 1
    # (column 9 of the second square is inside it, its outline lies two columns on): min(1, 2) = 1, 2, 1.
    by_hand = [2] * 5 + [1, 1] + [0, 0] + [0, 0] + [0, 0] + [1, 2, 1]
    assert len(by_hand) == 16
    found = surface_distances(first, second)
    assert found.assd == pytest.approx(np.mean(by_hand))
    assert found.hd95 == pytest.approx(np.percentile(by_hand, 95)) == pytest.approx(2.0)
    # twice as wide pixels: only columns count double; rows keep their size
    wide = surface_distances(first, second, (1.0, 2.0))
    by_hand = [4] * 5 + [2, 2] + [0] * 6 + [1, 2, 1]
    assert wide.assd == pytest.approx(np.mean(by_hand)) and wide.hd95 == pytest.approx(4.0)
    assert surface_distances(first, first) == type(found)(0.0, 0.0)


def test_distances_agree_with_distance_transforms():
    from scipy import ndimage

    rng = np.random.default_rng(3)
    for _ in range(5):
        one, two = (ndimage.gaussian_filter(rng.normal(size=(40, 50)), 4) > 0.03 for _ in range(2))
        spacing = (0.7, 1.3)
        edges = [np.zeros_like(one), np.zeros_like(one)]
        for edge, mask in zip(edges, (one, two), strict=True):
            edge[tuple(outline(mask).T)] = True
        away = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
        both = [away[1][edges[0]], away[0][edges[1]]]
        found = surface_distances(one, two, spacing)
        assert found.hd95 == pytest.approx(max(np.percentile(part, 95) for part in both))
        assert found.assd == pytest.approx(np.concatenate(both).mean())


def test_empty_masks():
    """Nothing on both sides says nothing; on one side it is as wrong as can be."""
    empty, there = np.zeros((3, 4), dtype=bool), square((3, 4), 1, 1, 1)
    assert math.isnan(surface_distances(empty, empty).hd95)
    assert surface_distances(empty, there, (2, 2)).hd95 == pytest.approx(10.0)
    assert surface_distances(there, empty).assd == pytest.approx(5.0)
    truth = np.array([[0, 0], [1, 1]])
    found = MapStatistics.of(truth, np.array([[0, 0], [0, 0]]), [1, 2])
    assert found.intersection.tolist() == [0, 0] and found.true.tolist() == [2, 0]
    assert math.isnan(found.hd95[1]) and found.hd95[0] == pytest.approx(math.hypot(2, 2))
    assert found.dice == 0.0


# Metrics


def made(count: int = 30, seed: int = 0, shift: int = 1, spacing: float | None = 0.5) -> Outputs:
    target = MapTarget(["background", "lung", "heart"])
    rng = np.random.default_rng(seed)
    truths, said, records = [], [], []
    for number in range(count):
        truth = np.zeros((24, 24), dtype=int)
        top, left = rng.integers(2, 8, 2)
        truth[top : top + 8, left : left + 8] = 1
        if number % 3:
            truth[16:20, 16:20] = 2
        truths.append(truth)
        said.append(np.roll(truth, shift * int(rng.integers(0, 3)), axis=1))
        meta = {} if spacing is None else {"spacing": spacing}
        records.append(Record(f"r{number}", truth, truth, group=f"g{number // 2}", meta=meta))
    groups = np.array([record.group for record in records])
    return map_outputs(target, records, groups, target.encode(truths), enumerate(said))


def test_dice_and_iou_by_hand():
    target = MapTarget(["background", "a", "b"])
    truths = [np.array([[1, 1, 1, 0]]), np.array([[1, 0, 0, 0]]), np.array([[0, -1, 0, 0]])]
    said = [np.array([[1, 1, 2, 0]]), np.array([[1, 1, 0, 0]]), np.array([[0, 1, 0, 0]])]
    records = [Record(f"r{n}", None, truth) for n, truth in enumerate(truths)]
    groups = np.array(["x", "y", "z"])
    outputs = map_outputs(target, records, groups, target.encode(truths), enumerate(said))
    # a: 2*2/(3+2) = 0.8 and 2*1/(1+2) = 2/3; the third record ignores the only pixel that was said.
    # b: said once, never true: 0.
    assert score("mean_dice", outputs).value == pytest.approx(((0.8 + 2 / 3) / 2 + 0) / 2)
    assert score("iou", outputs).value == pytest.approx(((2 / 3 + 1 / 2) / 2 + 0) / 2)
    by_class = {metric.name: score(metric, outputs).value for metric in class_metrics(outputs)}
    assert by_class["dice_a"] == pytest.approx((0.8 + 2 / 3) / 2) and by_class["dice_b"] == 0.0
    assert outputs.unit == "pixels"
    nothing = outputs.take(np.array([2]))
    assert math.isnan(score("mean_dice", nothing).value)
    assert "no record has any" in str(score("mean_dice", nothing).reason)


def test_distances_are_in_units_of_the_spacing():
    plain, fine = made(spacing=None), made(spacing=0.5)
    assert plain.unit == "pixels" and fine.unit == "mm"
    for name in ("hd95", "assd"):
        assert score(name, fine).value == pytest.approx(score(name, plain).value / 2)
    target = MapTarget(["background", "lung"])
    truth = np.array([[0, 1], [0, 0]])
    records = [Record("a", 0, truth, meta={"spacing": 2.0}), Record("b", 0, truth)]
    mixed = map_outputs(
        target, records, np.array(["a", "b"]), target.encode([truth] * 2), enumerate([truth] * 2)
    )
    assert mixed.hd95 is not None and mixed.hd95[0, 0] == 0 and math.isnan(mixed.hd95[1, 0])


def test_many_weightings_equal_repeated_records():
    outputs = made(12)
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, (6, 12)).astype(float)
    for name in ("mean_dice", "iou", "hd95", "assd"):
        many = replicate(name, outputs, weights)
        for row, value in zip(weights, many, strict=True):
            repeated = outputs.take(np.repeat(np.arange(12), row.astype(int)))
            assert score(name, repeated).value == pytest.approx(value)


def test_intervals_draw_groups_and_pairs_find_the_better():
    good, bad = made(shift=1), made(shift=3)
    found = estimate("mean_dice", good, resamples=300)
    assert found.low < found.value < found.high and found.groups == 15
    paired = paired_difference("mean_dice", good, bad, resamples=300)
    assert paired.difference > 0 and paired.excludes_zero
    assert paired_difference("hd95", good, bad, resamples=300).difference > 0
    assert paired_difference("iou", good, good, resamples=100).p_value == 1.0
    with pytest.raises(DataError, match="different targets"):
        paired_difference("iou", good, replace(bad, targets=bad.targets + 1))


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_outputs_come_back(ending: str, tmp_path):
    outputs = made(20)
    assert len(outputs.maps) == 12
    outputs.save(tmp_path / f"o.{ending}")
    back = Outputs.load(tmp_path / f"o.{ending}")
    for name in ("targets", "predicted_size", "intersection", "hd95", "assd"):
        np.testing.assert_array_equal(getattr(back, name), getattr(outputs, name))
    assert (back.unit, back.classes, back.kind) == ("mm", ("lung", "heart"), "segmentation")
    if ending == "npz":
        assert back.maps.keys() == outputs.maps.keys()
        assert all((back.maps[name] == labels).all() for name, labels in outputs.maps.items())
    with pytest.raises(ValueError, match="shape"):
        replace(outputs, hd95=outputs.hd95[:, :1])


def test_the_worst_maps_are_kept():
    outputs = made(40)
    dice = 2 * outputs.intersection.sum(1) / (outputs.targets + outputs.predicted_size).sum(1)
    kept = [list(outputs.ids).index(name) for name in outputs.maps]
    assert max(dice[kept]) <= np.sort(dice)[20]


def test_a_map_of_another_size_is_refused():
    target = MapTarget(["background", "lung"])
    truth = np.array([[0, 1]])
    with pytest.raises(TrainingError, match=r"'a'.*shape"):
        map_outputs(
            target, [Record("a", 0, truth)], np.array(["a"]), target.encode([truth]), [(0, np.zeros((2, 2)))]
        )
    with pytest.raises(TrainingError, match="no predicted map"):
        map_outputs(target, [Record("a", 0, truth)], np.array(["a"]), target.encode([truth]), [])


# Head

VIT = {"img_size": 32, "patch_size": 8, "depth": 6, "embed_dim": 32, "num_heads": 2}
ARCHITECTURES = {
    "convnext_atto": {"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]},
    "resnet10t": {},
    "vit_tiny_patch16_224": VIT,
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_head_gives_a_score_a_pixel_on_any_backbone(name: str):
    torch.manual_seed(0)
    backbone = TimmBackbone.from_config(name, in_chans=1, **ARCHITECTURES[name]).eval()
    batch = {"pixel_values": torch.rand(2, 1, 1, 32, 32), "target": torch.zeros(2, 32, 32, dtype=torch.int16)}
    batch["target"][:, 8:20, 8:20] = 1
    batch["target"][:, :2] = IGNORED
    before = backbone(batch).states
    settings = SegmentationHead.fitted({}, backbone)
    head = SegmentationHead(backbone.hidden_size, 3, width=8, **settings).bind(backbone)
    hidden = backbone(batch)
    assert torch.equal(hidden.states, before), "asking for maps changes no state"
    outputs = head(hidden, batch)
    assert outputs["logits"].shape == (2, 3, 32, 32)
    loss = head.loss(outputs, batch)
    loss.backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    assert any(parameter.grad is not None for parameter in backbone.parameters())
    total = head.predict(outputs)["probability"].sum(1)
    torch.testing.assert_close(total, torch.ones_like(total))
    assert SegmentationHead(backbone.hidden_size, 3, **head.settings()).settings() == head.settings()
    if name.startswith("vit"):
        assert head.levels == [1, 2, 4, 5] or len(head.levels) == 4
        assert head.levels[-1] == 5


def test_the_loss_by_hand():
    head = SegmentationHead(4, 2, maps=[(4, 4)], dice=1.0, cross_entropy=0.0)
    target = torch.tensor([[[1, 1, 0, IGNORED]]])
    logits = torch.tensor([[[[-9.0, 9.0, 9.0, -9.0]], [[9.0, -9.0, -9.0, 9.0]]]]) * 5
    # class 1: one of two found, nothing too much; (2 * 1 + 1) / (1 + 2 + 1)
    assert head.loss({"logits": logits}, {"target": target}).item() == pytest.approx(1 - 3 / 4)
    entropy = SegmentationHead(4, 2, maps=[(4, 4)], dice=0.0, cross_entropy=2.0)
    flat = torch.zeros(1, 2, 1, 4)
    assert entropy.loss({"logits": flat}, {"target": target}).item() == pytest.approx(2 * math.log(2))
    weighted = SegmentationHead(4, 2, maps=[(4, 4)], dice=0.0, class_weights=[1.0, 3.0])
    assert weighted.loss({"logits": flat}, {"target": target}).item() == pytest.approx(math.log(2))
    ignored = torch.full((1, 1, 4), IGNORED)
    assert head.loss({"logits": flat}, {"target": ignored}).item() == pytest.approx(0.0)
    with pytest.raises(ConfigError, match="weigh nothing"):
        SegmentationHead(4, 2, maps=[(4, 4)], dice=0.0, cross_entropy=0.0)
    with pytest.raises(ConfigError, match="levels"):
        SegmentationHead(4, 2, maps=[(4, 4)], levels=[3])


def test_a_head_begins_from_that_of_a_checkpoint():
    torch.manual_seed(0)
    first, same, more = (SegmentationHead(4, count, maps=[(4, 4), (8, 8)], width=8) for count in (2, 2, 3))
    assert same.inherit(first) and more.inherit(first)
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in first.state_dict().items())
    assert torch.equal(more.lateral[0].weight, first.lateral[0].weight)
    assert more.project.weight.shape[0] == 3
    assert not SegmentationHead(4, 2, maps=[(4, 4)], width=8).inherit(first)
    two, three = MapTarget(["background", "a"]), MapTarget(["background", "a", "b"])
    assert first.zero_shot(None, two) is first
    with pytest.raises(ConfigError, match="without training"):
        first.zero_shot(None, three)


def test_a_backbone_without_maps_is_refused():
    with pytest.raises(ConfigError, match="feature maps"):
        SegmentationHead.fitted({}, torch.nn.Linear(1, 1))


def test_validation_metrics_agree_with_the_judges():
    target = torch.tensor([[[1, 1, 1, 0]], [[1, 0, 0, IGNORED]]])
    said = torch.tensor([[[1, 1, 2, 0]], [[1, 1, 0, 2]]])
    logits = torch.nn.functional.one_hot(said, 3).movedim(-1, 1).float()
    metrics = ValidationMetrics("segmentation", 3)
    for row in range(2):
        metrics.update({"logits": logits[row : row + 1]}, {"target": target[row : row + 1]})
    found = metrics.compute(0.0)
    assert found["mean_dice"] == pytest.approx((0.8 + 2 / 3) / 4)
    assert found["iou"] == pytest.approx((2 / 3 + 1 / 2) / 4)


# Planes


class Halves:
    """Half as large."""

    def placement(self, image: np.ndarray) -> Placement:
        return Placement.stretched(image.shape, (4, 4))


class Flips:
    train = True

    def label_views(self, labels: np.ndarray) -> list[np.ndarray]:
        return [labels, labels[:, ::-1]]


def test_labels_follow_the_views():
    truth = np.zeros((8, 8), dtype=int)
    truth[:, :4] = 1
    target = MapTarget(["background", "lung"])
    records = [Record("a", np.zeros((8, 8)), truth), Record("b", np.zeros((8, 8)), truth)]
    maps = target.encode([truth, truth])
    planes = label_planes(maps, records, Halves(), rows=np.array([1]), augment=Flips())
    assert planes.plane(1, 0).tolist() == [[1, 1, 0, 0]] * 4
    assert planes.plane(1, 1).tolist() == [[0, 0, 1, 1]] * 4
    assert (planes.plane(0, 1) == IGNORED).all() and len(planes) == 2
    with pytest.raises(DataError, match="8 x 8 pixels, its image 6 x 8"):
        label_planes(maps, [Record("a", np.zeros((6, 8)), truth)], Halves(), rows=np.array([0]))
    with pytest.raises(ConfigError, match="placement"):
        label_planes(maps, records, object(), rows=np.array([0]))

    class Mute:
        train = True

    with pytest.raises(ConfigError, match="label_views"):
        label_planes(maps, records, Halves(), rows=np.array([0]), augment=Mute())


def test_many_planes_lie_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("scizoo.data.planes._IN_MEMORY", 10)
    truth = np.eye(4, dtype=int)
    target = MapTarget(["background", "lung"])
    planes = label_planes(
        target.encode([truth]), [Record("a", truth)], Halves(), rows=np.array([0]), folder=tmp_path
    )
    assert isinstance(planes.planes, np.memmap) and (planes.plane(0, 0) == truth).all()
    assert not list(tmp_path.iterdir())


# Baselines


def blobs(count: int, seed: int) -> tuple[list[Record], LabelMaps]:
    rng = np.random.default_rng(seed)
    records = []
    for number in range(count):
        truth = np.zeros((30, 36), dtype=int)
        top, left = rng.integers(4, 14, 2)
        truth[top : top + 10, left : left + 12] = 1
        image = truth * 2.0 + rng.normal(size=truth.shape)
        records.append(Record(f"b{number}", image, truth))
    target = MapTarget(["background", "blob"])
    return records, target.encode([record.target for record in records])


@pytest.mark.parametrize("method", ["forest", "boosting"])
def test_the_pixel_classifier_beats_the_mean_map(method: str):
    train, truth = blobs(8, 0)
    test, wanted = blobs(5, 1)
    groups = np.array([record.id for record in test])
    dice = {}
    for baseline in (PixelBaseline(method, scales=[2.0], trees=15, size=24), MeanMapBaseline(32)):
        fitted = baseline.fit(train, truth)
        shapes = [np.shape(record.target) for record in test]
        maps = list(fitted.predict_maps(test, shapes))
        assert [labels.shape for labels in maps] == shapes
        outputs = map_outputs(wanted.target, test, groups, wanted, enumerate(maps))
        dice[baseline.title] = score("mean_dice", outputs).value
    assert dice["the pixel classifier"] > 0.8 > dice["the mean map"]


def test_outlines_are_drawn():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    axes.imshow(np.zeros((10, 10)))
    truth, said = square((20, 20), 5, 5, 8).astype(int), square((20, 20), 6, 6, 8).astype(int)
    draw_contours(axes, truth, said, ["background", "lung"], shape=(10, 10))
    assert len(axes.collections) == 2 and axes.get_legend() is not None
    assert get_metric("hd95").direction == "lower"
