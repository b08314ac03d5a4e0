from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import Crippen, rdFingerprintGenerator
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import roc_auc_score

from scizoo.data.records import Record
from scizoo.evaluation.baseline import Labelled, baseline_outputs, tune
from scizoo_chemistry import features
from scizoo_chemistry.baselines import DescriptorLogistic, DescriptorRidge, folds_of
from scizoo_chemistry.descriptors import describe
from scizoo_chemistry.features import fingerprints
from scizoo_chemistry.trees import (
    FingerprintBoosting,
    FingerprintBoostingRegressor,
    FingerprintForest,
    FingerprintForestRegressor,
)

CLASSIFIERS = [FingerprintForest(trees=30), FingerprintBoosting(rounds=20), DescriptorLogistic()]
REGRESSORS = [
    FingerprintForestRegressor(trees=30),
    FingerprintBoostingRegressor(rounds=20),
    DescriptorRidge(),
]
NAMES = ["forest", "boosting", "descriptors"]


@pytest.fixture(scope="module")
def molecules() -> list[Record]:
    """A hundred and sixty molecules, a chain on a ring each, grouped by ring."""
    rings = ["c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccsc1", "C1CCNCC1", "C1CCOC1", "c1ccc2ccccc2c1", "C1CC1"]
    chains = ["C", "CC", "CCC", "CCCC", "OC", "OCC", "OCCC", "OC(=O)C", "OC(=O)CC", "NC", "NCC", "N(C)CC"]
    chains += ["FC", "FCC", "ClC", "ClCC", "BrCC", "N#CC", "CS", "OCCN"]
    smiles = [(Chem.CanonSmiles(chain + ring), ring) for ring in rings for chain in chains]
    return [Record(f"m{number}", text, group=ring) for number, (text, ring) in enumerate(smiles)]


@pytest.fixture(scope="module")
def oxygen(molecules) -> np.ndarray:
    return np.array([int("O" in record.input) for record in molecules])


@pytest.fixture(scope="module")
def log_p(molecules) -> np.ndarray:
    return np.array([Crippen.MolLogP(Chem.MolFromSmiles(record.input)) for record in molecules])


def halves(count: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def pick(records: list[Record], rows: np.ndarray) -> list[Record]:
    return [records[row] for row in rows]


def test_fingerprints_equal_rdkit_and_are_computed_once(molecules, monkeypatch):
    smiles = [record.input for record in molecules]
    found = fingerprints(smiles, 2, 1024)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    expected = [generator.GetFingerprintAsNumPy(Chem.MolFromSmiles(one)) for one in smiles]
    np.testing.assert_array_equal(found, np.stack(expected))
    counted = fingerprints(smiles, 2, 1024, counts=True)
    assert counted.dtype == np.uint8
    np.testing.assert_array_equal(counted > 0, found > 0)
    assert counted.max() > 1
    monkeypatch.setattr(features, "ecfp_bits", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(fingerprints(smiles[::-1], 2, 1024), found[::-1])
    assert fingerprints([], bits=64).shape == (0, 64)


@pytest.mark.parametrize("baseline", CLASSIFIERS, ids=NAMES)
def test_classes_are_learnt_and_judged(baseline, molecules, oxygen):
    train, test = halves(len(molecules))
    model = clone(baseline).fit(pick(molecules, train), oxygen[train])
    outputs = baseline_outputs(
        model,
        pick(molecules, test),
        oxygen[test],
        np.array([molecules[row].group for row in test]),
        kind="classification",
        classes=("without", "with"),
    )
    np.testing.assert_allclose(outputs.probability.sum(axis=1), 1.0)
    assert roc_auc_score(oxygen[test], outputs.probability[:, 1]) > 0.95


def test_the_forest_is_scikit_learns_on_the_same_bits(molecules, oxygen, log_p):
    train, test = halves(len(molecules))
    x = fingerprints([record.input for record in molecules])
    kept = np.flatnonzero(np.ptp(x[train], axis=0))
    plain = RandomForestClassifier(30, max_features="sqrt", random_state=0).fit(
        x[train][:, kept], oxygen[train]
    )
    ours = FingerprintForest(trees=30).fit(pick(molecules, train), oxygen[train])
    np.testing.assert_array_equal(
        ours.predict_proba(pick(molecules, test)), plain.predict_proba(x[test][:, kept])
    )
    values = RandomForestRegressor(30, max_features=0.3, random_state=0).fit(x[train][:, kept], log_p[train])
    mine = FingerprintForestRegressor(trees=30).fit(pick(molecules, train), log_p[train][:, None])
    expected = values.predict(x[test][:, kept])
    np.testing.assert_allclose(mine.predict(pick(molecules, test))[:, 0], expected)
    variance = mine.predict_variance(pick(molecules, test))
    assert variance.shape == (len(test), 1)
    assert (variance > 0).all()
    errors = (expected - log_p[test]) ** 2
    confident = variance[:, 0] < np.median(variance)
    assert errors[confident].mean() < errors[~confident].mean()


@pytest.mark.parametrize("baseline", CLASSIFIERS, ids=NAMES)
def test_several_labels_are_learnt_from_where_they_are_known(baseline, molecules, oxygen):
    draw = np.random.default_rng(1)
    nitrogen = np.array([int("N" in record.input.upper()) for record in molecules])
    targets = np.stack([oxygen, nitrogen, np.ones_like(oxygen), np.zeros_like(oxygen)], axis=1).astype(float)
    targets[:, 3] = np.nan  # nobody measured it
    targets[draw.random(targets.shape) < 0.3] = np.nan
    train, test = halves(len(molecules))
    model = clone(baseline).fit(pick(molecules, train), targets[train])
    found = model.predict_proba(pick(molecules, test))
    assert found.shape == (len(test), 4)
    assert np.isfinite(found).all()
    assert roc_auc_score(oxygen[test], found[:, 0]) > 0.9
    assert roc_auc_score(nitrogen[test], found[:, 1]) > 0.9
    np.testing.assert_array_equal(found[:, 2], 1.0)
    np.testing.assert_array_equal(found[:, 3], 0.5)
    # A label's model does not see the records that lack it.
    known = train[~np.isnan(targets[train, 0])]
    alone = clone(baseline).fit(pick(molecules, known), targets[known][:, :1])
    if np.array_equal(alone.columns_, model.columns_) and not isinstance(baseline, DescriptorLogistic):
        np.testing.assert_array_equal(alone.predict_proba(pick(molecules, test))[:, 0], found[:, 0])


@pytest.mark.parametrize("baseline", REGRESSORS, ids=NAMES)
def test_values_are_learnt_where_they_are_known(baseline, molecules, log_p):
    targets = np.stack([log_p, -10 * log_p], axis=1)
    targets[::3, 1] = np.nan
    train, test = halves(len(molecules))
    model = clone(baseline).fit(pick(molecules, train), targets[train])
    found = model.predict(pick(molecules, test))
    assert found.shape == (len(test), 2)
    for column, scale in enumerate((1.0, -10.0)):
        truth = scale * log_p[test]
        assert np.mean((found[:, column] - truth) ** 2) < 0.4 * truth.var()
    outputs = baseline_outputs(
        model, pick(molecules, test), targets[test], np.arange(len(test)).astype(str), kind="regression"
    )
    assert outputs.mean.shape == (len(test), 2)


def test_the_ridge_measures_its_own_error_on_other_groups(molecules, log_p):
    noisy = (log_p + np.random.default_rng(0).normal(0, 1.0, len(log_p)))[:, None]
    train, test = halves(len(molecules))
    model = DescriptorRidge().fit(pick(molecules, train), noisy[train])
    variance = model.predict_variance(pick(molecules, test))
    assert 0.5 < variance[0, 0] < 3.0
    assert np.ptp(variance) == 0


def test_undefined_descriptors_and_constant_bits_do_no_harm():
    odd = [Record(f"o{n}", smiles) for n, smiles in enumerate(["[Fe+2]", "[Na+].[Cl-]", "C", "CC", "[H][H]"])]
    targets = np.array([0, 1, 0, 1, 0])
    for baseline in CLASSIFIERS:
        assert np.isfinite(clone(baseline).fit(odd, targets).predict_proba(odd)).all()
    for baseline in REGRESSORS:
        assert np.isfinite(clone(baseline).fit(odd, targets.astype(float)).predict(odd)).all()
    same = [Record("a", "CCO"), Record("b", "OCC")]
    assert FingerprintForest(trees=5).fit(same, np.array([0, 1])).predict_proba(same).shape == (2, 2)


def test_remarks_of_rdkit_do_not_fill_the_terminal(caplog: pytest.LogCaptureFixture, capfd):
    describe(["[H+].[Br-]", "[H+].[I-]"])  # "not removing hydrogen atom without neighbors"
    assert not caplog.records and "hydrogen" not in capfd.readouterr().err


@pytest.mark.parametrize("baseline", [*CLASSIFIERS, *REGRESSORS], ids=[*NAMES, *NAMES])
def test_every_search_space_gives_settings_that_it_takes(baseline):
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        suggested = baseline.search_space(study.ask())
        assert suggested
        changed = clone(baseline).set_params(**suggested)
        assert {name: changed.get_params()[name] for name in suggested} == suggested


def test_tuning_runs_on_whole_groups(molecules, oxygen):
    groups = np.array([record.group for record in molecules])
    train, test = halves(len(molecules))
    tuned = tune(
        FingerprintForest(trees=10),
        Labelled(pick(molecules, train), oxygen[train], groups[train]),
        Labelled(pick(molecules, test), oxygen[test], groups[test]),
        kind="classification",
        classes=("without", "with"),
        metric="auroc",
        n_trials=3,
    )
    assert len(tuned.trials) == 3
    assert tuned.value > 0.9
    for inside, outside in folds_of(groups, 3, 0):
        assert not set(groups[inside]) & set(groups[outside])
    assert not list(folds_of(groups[:5], 3, 0))
