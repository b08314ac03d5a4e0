"""Objectives on images: views, what is hidden, and the figures beside them."""

from __future__ import annotations

import pytest
import torch

from scizoo.errors import ConfigError, DataError
from scizoo.models.contrastive import ContrastiveImages
from scizoo.models.image_views import ViewSettings, random_view
from scizoo.models.masked_images import MaskedImages
from scizoo.models.objectives import build_objective
from scizoo.models.timm_backbone import TimmBackbone, pixels_of

ARCHITECTURES = {
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 32, "num_heads": 2},
    "resnet10t": {},
    "convnext_atto": {"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]},
}
MASKED = {"_target_": "scizoo.models.masked_images.MaskedImages", "patch": 8, "fraction": 0.5}
CONTRAST = {"_target_": "scizoo.models.contrastive.ContrastiveImages", "outputs": 16}


class Sizes:
    def input_sizes(self):
        return {"in_chans": 2, "img_size": 32}


def backbone(name: str) -> TimmBackbone:
    torch.manual_seed(0)
    return TimmBackbone.from_config(name, in_chans=2, **ARCHITECTURES[name]).eval()


def batch(rows: int = 4) -> dict[str, torch.Tensor]:
    pixels = torch.rand(rows, 1, 2, 32, 32, generator=seeded(7))
    return {"pixel_values": pixels, "attention_mask": torch.ones(rows, 1), "index": torch.arange(rows)}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pixels_come_as_one_position_a_plane_or_bytes() -> None:
    given = batch()["pixel_values"]
    assert torch.equal(pixels_of({"pixel_values": given}), given[:, 0])
    as_bytes = (given * 255).to(torch.uint8)
    torch.testing.assert_close(pixels_of({"pixel_values": as_bytes}), as_bytes[:, 0].float() / 255)
    model = backbone("resnet10t")
    torch.testing.assert_close(
        model({"pixel_values": given}).states, model({"pixel_values": given[:, 0]}).states
    )
    with pytest.raises(DataError, match="shape"):
        model({"pixel_values": given[0, 0]})
    with pytest.raises(DataError, match="2 channels"):
        model({"pixel_values": given[:, 0, :1]})
    with pytest.raises(DataError, match="pixel_values"):
        model({"values": given})


def test_views_are_symmetries_when_nothing_else_is_asked_for() -> None:
    pixels = torch.rand(16, 1, 6, 6)
    views = random_view(pixels, ViewSettings(crop=1.0, brightness=0.0, noise=0.0), seeded())
    assert torch.equal(
        views, random_view(pixels, ViewSettings(crop=1.0, brightness=0.0, noise=0.0), seeded())
    )
    orbits = set()
    for image, view in zip(pixels, views, strict=True):
        turned = [image.rot90(k, (1, 2)) for k in range(4)]
        found = [torch.equal(view, one) for one in [*turned, *(one.flip(-1) for one in turned)]]
        assert any(found)
        orbits.add(found.index(True))
    assert len(orbits) > 3
    wide = torch.rand(8, 1, 4, 6)
    assert random_view(wide, ViewSettings(), seeded()).shape == wide.shape
    still = ViewSettings(flip=False, rotate=False, crop=1.0, brightness=0.0, noise=0.0)
    assert torch.equal(random_view(pixels, still, seeded()), pixels)
    constant = torch.full((4, 1, 8, 8), 3.0)
    cut = random_view(constant, ViewSettings(brightness=0.0, noise=0.0), seeded())
    torch.testing.assert_close(cut, constant)
    with pytest.raises(ConfigError, match="crop"):
        ViewSettings(crop=0.0)


def test_contrastive_pairs_the_views_of_one_image() -> None:
    model = backbone("resnet10t")
    head = build_objective(CONTRAST, model)
    assert isinstance(head, ContrastiveImages)
    made = head.prepare(batch(), seeded())
    assert made["pixel_values"].shape == (8, 2, 32, 32)
    assert made["target"].tolist() == [4, 5, 6, 7, 0, 1, 2, 3]
    again = head.prepare(batch(), seeded())
    assert torch.equal(again["pixel_values"], made["pixel_values"])
    outputs = head(model(made), made)
    vectors = head(model(made), {})["projection"]
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(8))
    scores = vectors @ vectors.T / head.temperature
    wanted = []
    for row in range(8):
        others = [other for other in range(8) if other != row]
        partner = scores[row, (row + 4) % 8]
        wanted.append(torch.logsumexp(scores[row, others], 0) - partner)
    torch.testing.assert_close(head.loss(outputs, made), torch.stack(wanted).mean())
    assert float(outputs["chance"][0]) == pytest.approx(1 / 7)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_masked_images_cover_any_architecture(name: str) -> None:
    model = backbone(name)
    head = build_objective(MASKED, model, Sizes())
    assert isinstance(head, MaskedImages)
    assert head.stride == (8 if name.startswith("vit") else 32)
    given = batch()
    made = head.prepare(given, seeded())
    hidden = ~made["target"].isnan()
    assert hidden.flatten(1).float().mean(1).tolist() == [0.5] * 4
    assert torch.equal(made["target"][hidden], given["pixel_values"][:, 0][hidden])
    changed = {**given, "pixel_values": torch.where(hidden[:, None], 9.0, given["pixel_values"])}
    assert torch.equal(head.prepare(changed, seeded())["pixel_values"], made["pixel_values"])
    outputs = head(model(made), made)
    visible = torch.where(hidden, torch.nan, given["pixel_values"][:, 0])
    wanted = visible.nanmean(dim=(-2, -1), keepdim=True).expand(hidden.shape)[hidden]
    torch.testing.assert_close(outputs["reference"], wanted)
    head.loss(outputs, made).backward()
    assert head.pixel.grad is not None
    assert head(model(given), given)["pixels"].shape == (4, 2, 32, 32)


def test_objectives_of_images_refuse_other_backbones() -> None:
    from scizoo.models.continuous import ContinuousBackbone

    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    numbers = ContinuousBackbone.from_config("bert", small)
    for cfg in (MASKED, CONTRAST):
        with pytest.raises(ConfigError, match="images"):
            build_objective(cfg, numbers)
    values = {"_target_": "scizoo.models.reconstruction.MaskedValues"}
    with pytest.raises(ConfigError, match="values"):
        build_objective(values, backbone("resnet10t"))
    with pytest.raises(ConfigError, match="no Objective"):
        build_objective({"_target_": "scizoo.models.heads.ClassificationHead"}, numbers)
