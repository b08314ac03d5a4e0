"""Heads of this field: consistent probabilities along a tree, and mixtures as posteriors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Hidden
from scizoo_astronomy.alignment import ImageSpectrumAlignment, dealt_pixels
from scizoo_astronomy.heads import HierarchicalHead, MixtureDensityHead
from scizoo_astronomy.objects import Image, ImageSpectrum, Spectrum
from scizoo_astronomy.taxonomy import ClassTree
from scizoo_astronomy.tokenizers.pair import PairTokenizer

TREE = {"pulsating": {"Cepheid": ["F", "1O"], "RR Lyrae": ["RRab", "RRc"]}, "eclipsing": ["EA", "EB"]}
CLASSES = ["1O", "EA", "EB", "F", "RRab", "RRc"]


def states(count: int = 6) -> Hidden:
    torch.manual_seed(0)
    return Hidden(torch.randn(count, 4, 16), torch.ones(count, 4, dtype=torch.bool))


def test_probabilities_are_consistent_along_the_tree() -> None:
    head = HierarchicalHead(16, 6, tree=TREE)
    assert head.tree.classes == CLASSES
    probability = head.predict(head(states(), {}))["probability"]
    nodes = head.node_probabilities(probability)
    torch.testing.assert_close(nodes["Cepheid"], nodes["F"] + nodes["1O"])
    torch.testing.assert_close(nodes["pulsating"], nodes["Cepheid"] + nodes["RR Lyrae"])
    torch.testing.assert_close(nodes["pulsating"] + nodes["eclipsing"], torch.ones(6))


def test_the_loss_is_that_of_the_steps_down_the_tree() -> None:
    target = torch.tensor([0, 1, 2, 3, 4, -100])
    outputs = {"logits": torch.randn(6, 6, generator=torch.Generator().manual_seed(1))}
    plain = HierarchicalHead(16, 6, tree=TREE, alpha=0.0).loss(outputs, {"target": target})
    torch.testing.assert_close(plain, torch.nn.functional.cross_entropy(outputs["logits"], target))
    # By hand for 1O: three conditional steps, weighed by exp(-alpha * height).
    alpha = 0.7
    head = HierarchicalHead(16, 6, tree=TREE, alpha=alpha)
    found = head.loss(outputs, {"target": torch.tensor([0] + [-100] * 5)})
    p = outputs["logits"][0].softmax(-1).numpy()
    cepheid, pulsating = p[0] + p[3], p[0] + p[3] + p[4] + p[5]
    steps = np.log([p[0] / cepheid, cepheid / pulsating, pulsating])
    assert float(found) == pytest.approx(-(steps * np.exp(-alpha * np.arange(3))).sum(), rel=1e-5)


def test_confusing_types_costs_more_than_confusing_subtypes() -> None:
    head = HierarchicalHead(16, 6, tree=TREE, alpha=-0.5)
    near, far = torch.full((1, 6), -5.0), torch.full((1, 6), -5.0)
    near[0, CLASSES.index("1O")] = far[0, CLASSES.index("EA")] = 5.0
    truth = {"target": torch.tensor([CLASSES.index("F")])}
    assert head.loss({"logits": near}, truth) < head.loss({"logits": far}, truth)


def test_heads_come_back_from_their_settings() -> None:
    for head in (HierarchicalHead(16, 6, tree=TREE), MixtureDensityHead(16, 2, components=3, inner=8)):
        again = type(head)(16, head.outputs, **head.settings())
        again.load_state_dict(head.state_dict())
        for name, value in head(states(), {}).items():
            torch.testing.assert_close(again(states(), {})[name], value)


def test_trees_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="6 classes, the task 5"):
        HierarchicalHead(16, 5, tree=TREE)
    with pytest.raises(ConfigError, match="'F' stands in the tree twice"):
        ClassTree({"a": ["F"], "b": ["F"]})
    with pytest.raises(ConfigError, match="is a class and a node"):
        ClassTree({"Cepheid": ["F"]}, classes=["Cepheid", "F"])
    tree = ClassTree(TREE, classes=["RRab", "F", "new"])
    assert tree.classes == ["RRab", "F", "new"]
    assert tree.paths["new"] == ()
    assert tree.leaves("pulsating") == ["RRab", "F"]


def test_mixtures_agree_with_scipy() -> None:
    head = MixtureDensityHead(16, 1, components=3, quantiles=(0.05, 0.5, 0.95))
    outputs = head(states(), {})
    predicted = head.predict(outputs)
    weight = outputs["log_weight"][0, 0].exp().detach().double().numpy()
    means = outputs["means"][0, 0].detach().double().numpy()
    spread = (0.5 * outputs["log_variances"][0, 0]).exp().detach().double().numpy()
    value = 0.3
    density = (weight * stats.norm.pdf(value, means, spread)).sum()
    found = head.log_density(outputs, torch.full((6, 1), value))[0, 0]
    assert float(found) == pytest.approx(np.log(density), abs=1e-4)
    assert float(predicted["mean"][0, 0]) == pytest.approx((weight * means).sum(), abs=1e-5)
    draws = np.random.default_rng(0)
    chosen = draws.choice(3, 400_000, p=weight / weight.sum())
    sample = draws.normal(means[chosen], spread[chosen])
    assert float(predicted["variance"][0, 0]) == pytest.approx(sample.var(), rel=0.02)
    quantiles = predicted["quantiles"][0, 0].detach().numpy()
    np.testing.assert_allclose(quantiles, np.quantile(sample, (0.05, 0.5, 0.95)), atol=0.03)


def test_a_mixture_learns_two_peaks_where_a_mean_would_lie_between() -> None:
    head = MixtureDensityHead(16, 1, components=2)
    target = torch.tensor([-1.0, 1.0]).repeat(32)[:, None]
    batch = {"target": target}
    hidden = Hidden(torch.zeros(64, 1, 16), torch.ones(64, 1, dtype=torch.bool))
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = head.loss(head(hidden, batch), batch)
        loss.backward()
        optimizer.step()
    outputs = head(hidden, batch)
    grid = torch.tensor([-1.0, 0.0, 1.0]).expand(64, 1, 3)
    at_peaks, between = (
        head.log_density(outputs, grid)[0, 0][[0, 2]],
        head.log_density(outputs, grid)[0, 0, 1],
    )
    assert (at_peaks > between + 3).all()
    predicted = head.predict(outputs)
    assert float(predicted["mean"].detach()[0, 0]) == pytest.approx(0.0, abs=0.1)
    assert float(predicted["variance"].detach()[0, 0]) == pytest.approx(1.0, abs=0.2)
    missing = {"target": torch.full((64, 1), torch.nan)}
    assert float(head.loss(outputs, missing)) == 0.0


def test_images_dealt_out_over_patches_come_back_whole() -> None:
    draw = np.random.default_rng(0)
    wavelength = np.linspace(4000, 9000, 300)
    pairs = [
        ImageSpectrum(Image(draw.normal(size=(20, 20))), Spectrum(wavelength, draw.uniform(1, 2, 300)))
        for _ in range(3)
    ]
    tokenizer = PairTokenizer({"patches": 20, "patch": 8}, {"size": 16})
    encoded = tokenizer.encode(pairs)
    assert encoded["values"].lengths.tolist() == [20, 20, 20]  # the patches beyond the spectrum are kept
    batch = {"pixels": torch.from_numpy(encoded["pixels"].values.reshape(3, 20, -1))}
    whole = tokenizer.image.encode([pair.image for pair in pairs])["pixel_values"].values
    np.testing.assert_array_equal(dealt_pixels(batch, 1, 16).numpy(), whole)
    with pytest.raises(DataError, match="pieces of the images are missing"):
        dealt_pixels({"pixels": batch["pixels"][:, :10]}, 1, 16)
    with pytest.raises(DataError, match="no pair"):
        tokenizer.encode([pairs[0].image])


def test_alignment_is_the_loss_of_finding_the_other_view() -> None:
    objective = ImageSpectrumAlignment(16, 8, architecture="test_convnext", size=32, temperature=0.5)
    again = ImageSpectrumAlignment(16, 8, **objective.settings())
    again.load_state_dict(objective.state_dict())
    torch.manual_seed(0)
    batch = {"values": torch.zeros(6, 4, 1), "pixels": torch.randn(6, 4, 256)}
    given = again.prepare(batch)
    outputs = again(states(), given)
    apart = again(states(), batch)
    scores = (apart["projection"] @ apart["image_projection"].T) / 0.5
    expected = sum(torch.nn.functional.cross_entropy(s, torch.arange(6)) for s in (scores, scores.T)) / 2
    torch.testing.assert_close(again.loss(outputs, given), expected, atol=1e-5, rtol=1e-4)
    assert outputs["chance"].unique().tolist() == pytest.approx([1 / 6])
    assert len(outputs["correct"]) == 12
