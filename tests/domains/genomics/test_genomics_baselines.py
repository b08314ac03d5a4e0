from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from scizoo.data.records import Record
from scizoo.errors import ConfigError, DataError
from scizoo_genomics.alphabet import reverse_complement
from scizoo_genomics.baselines import KmerLogistic, KmerRidge, PositionLogistic, folds_of
from scizoo_genomics.boosting import KmerBoosting, KmerBoostingRegressor
from scizoo_genomics.features import KmerSpectrum, PositionFeatures, count_kmers
from scizoo_genomics.picture import draw, gc_share
from scizoo_genomics.tokenizers.lookup import codes_of


def records(sequences) -> list[Record]:
    return [Record(f"r{i}", sequence) for i, sequence in enumerate(sequences)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(alphabet="ACGTN", max_size=25), min_size=1, max_size=5), st.integers(1, 4), st.booleans()
)
def test_counts_equal_a_plain_loop(sequences, k, canonical):
    counts = count_kmers(sequences, k, canonical=canonical).toarray()
    for sequence, row in zip(sequences, counts):
        words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
        words = [word for word in words if "N" not in word]
        if canonical:
            words = [min(word, reverse_complement(word)) for word in words]
        assert sorted(row[row > 0].tolist()) == sorted(
            map(float, {w: words.count(w) for w in words}.values())
        )
    if canonical:
        flipped = count_kmers([reverse_complement(s) for s in sequences], k, canonical=True)
        assert np.array_equal(flipped.toarray(), counts)


@pytest.mark.parametrize("weighting", ["tfidf", "log", "frequency"])
def test_spectra_are_scaled_for_each_k(dna, weighting):
    spectrum = KmerSpectrum(2, 3, canonical=False, weighting=weighting)
    x = spectrum.fit_transform([dna(50, i) for i in range(5)]).toarray()
    assert x.shape == (5, 16 + 64)
    power = 1 if weighting == "frequency" else 2
    assert np.allclose((x[:, :16] ** power).sum(1), 1)
    assert np.allclose((x[:, 16:] ** power).sum(1), 1)
    assert spectrum.transform(["", "NNNN"]).nnz == 0
    with pytest.raises(ConfigError):
        KmerSpectrum(3, 2)


def test_positions_are_one_hot(dna):
    features = PositionFeatures(word=2)
    x = features.fit_transform(["ACG", "NCG"]).toarray()
    assert x.shape == (2, 12 + 32)
    assert x.sum(axis=1).tolist() == [5.0, 3.0]
    with pytest.raises(DataError, match="Sequence 0 has 2 bases"):
        features.transform(["AC"])


@pytest.fixture
def motifs(dna):
    """Sequences with one of three motifs somewhere, the class; groups of four."""
    motif = ["GATTACAGG", "CCTTGGAAC", "TTTACGCGT"]
    labels = np.arange(120) % 3
    sequences = []
    for i, label in enumerate(labels):
        body = dna(60, i)
        sequences.append(body[: i % 40] + motif[label] + motif[label] + body[i % 40 :])
    return records(sequences), labels, np.array([f"g{i // 4}" for i in range(120)])


@pytest.mark.parametrize(
    "baseline", [KmerLogistic(k_max=5), KmerBoosting(k_max=4)], ids=lambda b: type(b).__name__
)
def test_classes_are_learnt(motifs, baseline):
    items, labels, groups = motifs
    fitted = clone(baseline).fit(items[:90], labels[:90] * 2, groups[:90])
    probability = fitted.predict_proba(items[90:])
    assert fitted.classes_.tolist() == [0, 2, 4]
    assert probability.shape == (30, 3)
    assert np.allclose(probability.sum(1), 1, atol=1e-5)
    assert (probability.argmax(1) == labels[90:]).mean() > 0.8


@pytest.mark.parametrize(
    "baseline", [KmerLogistic(k_max=5), KmerBoosting(k_max=4)], ids=lambda b: type(b).__name__
)
def test_several_labels_with_gaps(motifs, baseline):
    items, labels, groups = motifs
    targets = np.stack([labels == 0, labels == 1, np.ones(120)], axis=1).astype(float)
    targets[::5, 0] = np.nan
    probability = clone(baseline).fit(items[:90], targets[:90], groups[:90]).predict_proba(items[90:])
    assert probability.shape == (30, 3)
    assert ((probability[:, 1] > 0.5) == (labels[90:] == 1)).mean() > 0.8
    assert (probability[:, 2] == 1).all(), "a label that always holds is predicted so"


@pytest.mark.parametrize(
    "baseline", [KmerRidge(k_max=3), KmerBoostingRegressor(k_max=3)], ids=lambda b: type(b).__name__
)
def test_numbers_are_learnt(dna, baseline):
    sequences = [
        "".join("GC" if base in "AC" and i % 7 < n % 7 else base for i, base in enumerate(dna(150, n)))
        for n in range(150)
    ]
    share = np.array([sum(base in "GC" for base in s) / len(s) for s in sequences])
    targets = np.stack([share * 10, -share], axis=1)
    targets[3, 0] = np.nan
    fitted = clone(baseline).fit(records(sequences[:110]), targets[:110])
    predicted = fitted.predict(records(sequences[110:]))
    assert predicted.shape == (40, 2)
    for column in range(2):
        assert np.corrcoef(predicted[:, column], targets[110:, column])[0, 1] > 0.8
    if isinstance(baseline, KmerRidge):
        assert (fitted.predict_variance(records(sequences[:2])) > 0).all()


def test_positions_beat_spectra_where_place_matters(dna):
    """The same words everywhere, in another order: only the place tells the classes apart."""
    labels = np.arange(160) % 2
    sequences = [
        dna(20, i) + ("GTAAG" + "CAGGT" if label else "CAGGT" + "GTAAG") + dna(20, i + 999)
        for i, label in enumerate(labels)
    ]
    items = records(sequences)
    place = PositionLogistic().fit(items[:100], labels[:100]).predict_proba(items[100:])
    assert (place.argmax(1) == labels[100:]).mean() > 0.95


def test_cross_validation_keeps_groups_whole():
    groups = np.array(["a", "a", "b", "b", "c", "c"])
    for train, test in folds_of(np.zeros(6), groups, 3, 0):
        assert not set(groups[train]) & set(groups[test])
    assert list(folds_of(np.zeros(2), groups[:2], 3, 0)) == []


def test_too_few_records_for_cross_validation_take_the_default(motifs):
    items, labels, _ = motifs
    fitted = KmerLogistic().fit(items[:2], labels[:2])
    assert fitted.C_ == 100.0
    assert fitted.predict_proba(items[:1]).shape == (1, 2)


def test_search_spaces_name_real_settings(motifs):
    import optuna

    for baseline in (
        KmerLogistic(),
        KmerBoosting(),
        KmerRidge(),
        KmerBoostingRegressor(),
        PositionLogistic(),
    ):
        trial = optuna.create_study().ask()
        assert set(baseline.search_space(trial)) <= set(baseline.get_params())


@pytest.mark.parametrize("length", [1, 60, 5000])
def test_a_sequence_is_drawn(dna, length):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    draw(axes, Record("chr1:5", dna(length, letters="ACGTN"), "coding"), "coding (0.93)")
    image = axes.images[0].get_array()
    assert int((~np.isnan(np.ma.filled(image, np.nan))).sum()) == min(length, 1200)
    assert "chr1:5" in axes.get_title()
    assert ("drawn" in axes.get_title()) == (length > 1200)
    assert "predicted: coding (0.93)" in axes.get_title()


def test_gc_share():
    share = gc_share(codes_of(["GGGAAANNNN"])[0], 3)
    assert share[:6].tolist() == pytest.approx([1, 1, 2 / 3, 1 / 3, 0, 0])
    assert np.isnan(share[8])
