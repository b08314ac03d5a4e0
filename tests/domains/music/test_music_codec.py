"""Patterns of codes, codec tokens, the codec's training, mel tokens."""

from __future__ import annotations

import numpy as np
import pytest

from scizoo.data.tokenizer import load_tokenizer, save_tokenizer
from scizoo.errors import ConfigError, DataError
from scizoo_music.codec import patterns
from scizoo_music.codec.codes import CodedSound, measure, si_sdr
from scizoo_music.sound.sounds import Sound
from scizoo_music.tokenizers.codec import CodecTokenizer
from scizoo_music.tokenizers.mel import MelImageTokenizer, MelTokenizer
from scizoo_music.tokenizers.wave import WaveTokenizer


def some_codes(seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.integers(0, draw.integers(2, 2000), (draw.integers(1, 40), draw.integers(1, 9)))


@pytest.mark.parametrize("seed", range(60))
def test_patterns_invert_exactly(seed):
    codes = some_codes(seed)
    frames, books = codes.shape
    before = codes.copy()
    np.testing.assert_array_equal(patterns.from_parallel(patterns.parallel(codes)), codes)
    flat = patterns.flattened(codes)
    assert flat.shape == (frames * books,)
    np.testing.assert_array_equal(patterns.from_flattened(flat, books), codes)
    steps = patterns.delay(codes)
    assert steps.shape == (frames + books - 1, books)
    assert (steps == patterns.EMPTY).sum() == books * (books - 1)
    np.testing.assert_array_equal(patterns.from_delay(steps), codes)
    np.testing.assert_array_equal(codes, before)
    assert patterns.from_delay(steps).dtype == codes.dtype


def test_a_delay_lets_each_book_follow_the_one_that_it_refines():
    steps = patterns.delay(np.array([[1, 2, 3], [4, 5, 6]]))
    assert steps.tolist() == [[1, -1, -1], [4, 2, -1], [-1, 5, 3], [-1, -1, 6]]


def test_no_frames_and_what_is_no_pattern():
    none = np.empty((0, 4), dtype=np.int64)
    assert patterns.from_delay(patterns.delay(none)).shape == (0, 4)
    assert patterns.from_flattened(patterns.flattened(none), 4).shape == (0, 4)
    with pytest.raises(DataError, match="no whole number"):
        patterns.from_flattened(np.arange(7), 2)
    with pytest.raises(DataError, match="empty places"):
        patterns.from_delay(np.array([[1, 2], [3, 4], [5, 6]]))
    with pytest.raises(DataError, match="no delayed frame"):
        patterns.from_delay(np.array([[1, 2, 3]]))
    for wrong in (np.zeros((2, 2)), np.zeros(3, int), np.array([[-2, 0]]), np.zeros((2, 2), np.uint8)):
        with pytest.raises(DataError):
            patterns.delay(wrong)


@pytest.mark.parametrize("pattern", ["flattened", "delay"])
def test_tokens_give_codes_back(pattern, tmp_path):
    tokenizer = CodecTokenizer(books=3, size=50, pattern=pattern)
    given = [CodedSound(np.random.default_rng(n).integers(0, 50, (4 + n, 3))) for n in range(5)]
    rows = tokenizer.encode(given)["input_ids"]
    length = (4 if pattern == "flattened" else 6) * 3
    assert len(rows[0]) == length and max(row.max() for row in rows) < tokenizer.vocab_size
    for one, row in zip(given, rows, strict=True):
        np.testing.assert_array_equal(tokenizer.decode(row).codes, one.codes)
    save_tokenizer(tokenizer, tmp_path)
    assert load_tokenizer(tmp_path).fingerprint() == tokenizer.fingerprint()
    with pytest.raises(DataError, match="another's place"):
        tokenizer.decode(rows[0][[1, 0, 2, *range(3, length)]])
    with pytest.raises(DataError, match="4 books"):
        tokenizer.encode([CodedSound(np.zeros((2, 4), int))])
    with pytest.raises(ConfigError, match="did you mean 'delay'"):
        CodecTokenizer(pattern="delayed")


def tones(count: int, seconds: float = 0.64) -> list[Sound]:
    time = np.arange(round(seconds * 16_000)) / 16_000
    made = []
    for number in range(count):
        draw = np.random.default_rng(number)
        first, second = draw.uniform(200, 900, 2)
        wave = np.sin(2 * np.pi * first * time) + 0.5 * np.sin(2 * np.pi * second * time)
        made.append(Sound(0.3 * wave * np.exp(-3 * (time % draw.uniform(0.1, 0.3))), 16_000))
    return made


@pytest.fixture(scope="module")
def trained():
    """A very small codec after some steps on made-up tones, and what it was made of."""
    import torch

    from scizoo_music.codec.model import EncodecBackbone
    from scizoo_music.codec.objective import CodecReconstruction

    torch.manual_seed(0)
    torch.set_num_threads(1)
    codec = EncodecBackbone(books=3, size=32, dimension=16, filters=4, ratios=(8, 8, 5), decay=0.9)
    objective = CodecReconstruction(16, 320, windows=(256, 512)).bind(codec)
    rows = WaveTokenizer().encode(tones(6))["values"]
    values = torch.from_numpy(np.stack(list(rows)))
    batch = {"values": values, "attention_mask": torch.ones(values.shape[:2], dtype=torch.long)}
    optimizer = torch.optim.AdamW(codec.parameters(), lr=5e-3)
    draws = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(60):
        given = objective.prepare(batch, draws)
        loss = objective.loss(objective(codec(given), given), given)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return codec.eval(), objective.eval(), batch, losses


def test_a_codec_learns_and_each_codebook_brings_the_latents_nearer(trained):
    import torch

    codec, objective, batch, losses = trained
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])
    with torch.no_grad():
        latent = codec(batch).states
        gaps = [float((codec.quantise(latent, books)[0] - latent).pow(2).mean()) for books in (1, 2, 3)]
    assert gaps[0] > gaps[1] > gaps[2]
    codes = codec.quantise(latent)[1]
    assert all(len(torch.unique(codes[..., book])) > 8 for book in range(3))
    given = objective.prepare(batch)
    assert int(given["books"]) == 3  # judged with all of them
    outputs = objective(codec(given), given)
    assert outputs["prediction"].shape == outputs["target"].shape == outputs["reference"].shape
    found = measure(codec, tones(3))
    assert [one.books for one in found] == [1, 2, 3]
    assert [one.kbps for one in found] == pytest.approx([0.25, 0.5, 0.75])
    assert found[2].si_sdr > found[0].si_sdr > 1  # what comes back is the sound, not another of its kind


def test_a_codec_begins_about_as_loud_as_what_it_hears():
    import torch

    from scizoo_music.codec.model import EncodecBackbone

    torch.manual_seed(0)
    codec = EncodecBackbone().eval()
    values = torch.from_numpy(np.stack(list(WaveTokenizer().encode(tones(3))["values"])))
    with torch.no_grad():
        made = codec.decode(codec({"values": values}).states)
    assert 0.2 < float(made.std() / values.std()) < 5


def test_a_codec_is_saved_codes_the_same_and_travels_with_its_tokenizer(trained, tmp_path):
    from scizoo_music.codec.model import EncodecBackbone

    codec = trained[0]
    codec.save(tmp_path / "codec")
    again = EncodecBackbone.load(tmp_path / "codec").eval()
    samples = tones(1)[0].mono()
    codes = codec.code(samples)
    np.testing.assert_array_equal(again.code(samples), codes)
    assert codes.shape == (32, 3) and codec.sound(codes).shape == (32 * 320,)
    tokenizer = CodecTokenizer(books=3, size=32)
    tokenizer._open(tmp_path / "codec")
    row = tokenizer.encode([tones(1)[0]])["input_ids"][0]
    np.testing.assert_array_equal(tokenizer.decode(row).codes, codes)
    assert tokenizer.decode(row).sound().seconds == pytest.approx(0.64)
    save_tokenizer(tokenizer, tmp_path / "tokens")
    loaded = load_tokenizer(tmp_path / "tokens")
    assert loaded.fingerprint() == tokenizer.fingerprint()
    np.testing.assert_array_equal(loaded.encode([tones(1)[0]])["input_ids"][0], row)
    with pytest.raises(ConfigError, match="3 books of 32"):
        CodecTokenizer(books=4, size=32)._open(tmp_path / "codec")


def test_the_librarys_own_quantiser_gives_the_same_codes(trained):
    import torch

    codec, _, batch, _ = trained
    with torch.no_grad():
        theirs = codec.model.encode(batch["values"].flatten(1)[:, None], return_dict=True).audio_codes
        mine = codec.quantise(codec(batch).states)[1]
    np.testing.assert_array_equal(theirs[0].permute(0, 2, 1).numpy(), mine.numpy())


def test_si_sdr():
    samples = np.sin(np.arange(4000) / 10).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    assert si_sdr(samples, 3 * samples) > 90
    assert si_sdr(samples, samples + noise) == pytest.approx(10 * np.log10(0.5 / 0.01), abs=0.5)


def test_mel_patches_do_not_depend_on_level_neighbours_or_rate():
    sound = tones(1)[0]
    tokenizer = MelTokenizer()
    one = tokenizer.encode([sound])
    assert one["values"][0].shape == (10, 256) and one["times"][0][1, 0] == pytest.approx(0.064)
    quiet = Sound(0.1 * sound.samples, sound.rate)
    both = tokenizer.encode([quiet, *tones(3), Sound(np.full(1, 0.5), 44_100)])
    np.testing.assert_allclose(both["values"][0], one["values"][0], atol=1e-3)
    assert len(both["values"][4]) == 1 and np.isfinite(both["values"].values).all()
    picture = MelImageTokenizer(frames=64).encode([sound, tones(2, 2.0)[1]])["pixel_values"]
    assert picture[0].shape == (1, 1, 64, 64) and picture[0][0, 0, :, 50:].max() == picture[0].min()
    with pytest.raises(DataError, match="input 1"):
        tokenizer.encode([sound, 3])


def test_codebooks_learn_from_latents_of_half_precision():
    import torch

    from scizoo_music.codec.model import EncodecBackbone

    torch.manual_seed(0)
    codec = EncodecBackbone(books=2, size=8, dimension=16, filters=4, ratios=(8, 8, 5), decay=0.9)
    latent = torch.randn(1, 40, 16, dtype=torch.bfloat16)
    before = [layer.codebook.embed.clone() for layer in codec.model.quantizer.layers]
    for _ in range(2):
        codec.quantise(latent, learn=torch.ones(1, 40, dtype=torch.bool))
    for layer, old in zip(codec.model.quantizer.layers, before, strict=True):
        assert layer.codebook.embed.dtype == torch.float32
        assert torch.isfinite(layer.codebook.embed).all() and not torch.equal(layer.codebook.embed, old)
