from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, Ridge

from scizoo.data.records import Record
from scizoo.evaluation.features import FeatureBaseline, cross_validated_error, standardised


class Plain(FeatureBaseline):
    def __init__(self, sparse: bool = False):
        self.sparse = sparse

    def features(self, records):
        x = np.array([record.input for record in records])
        return csr_array(x) if self.sparse else x

    def classifier(self, labels):
        return LogisticRegression()

    def regressor(self):
        return standardised(Ridge(alpha=1e-6))


def records(count: int = 60) -> tuple[list[Record], np.ndarray]:
    x = np.random.default_rng(0).normal(size=(count, 3))
    return [Record(f"r{row}", values) for row, values in enumerate(x)], x


@pytest.mark.parametrize("sparse", [False, True])
def test_each_label_learns_from_the_records_that_state_it(sparse: bool):
    rows, x = records()
    labels = np.stack([x[:, 0] > 0, x[:, 1] > 0, np.ones(60)], axis=1).astype(float)
    labels[::2, 0] = np.nan
    labels[5:, 2] = np.nan
    found = Plain(sparse).fit(rows, labels).predict_proba(rows)
    alone = LogisticRegression().fit(x[1::2], (x[1::2, 0] > 0).astype(int)).predict_proba(x)[:, 1]
    np.testing.assert_allclose(found[:, 0], alone, rtol=1e-6)
    assert np.mean((found[:, 1] > 0.5) == (x[:, 1] > 0)) > 0.9
    np.testing.assert_allclose(found[:, 2], 5.5 / 6, err_msg="one kind of label alone was seen")


def test_numbers_with_gaps_and_their_errors():
    rows, x = records()
    targets = np.stack([2 * x[:, 0], x[:, 1] + np.random.default_rng(1).normal(size=60)], axis=1)
    targets[::3, 0] = np.nan
    model = Plain().fit(rows, targets)
    np.testing.assert_allclose(model.predict(rows)[:, 0], 2 * x[:, 0], atol=1e-4)
    variance = model.predict_variance(rows)
    assert variance.shape == (60, 2) and variance[0, 0] < 1e-6 and 0.5 < variance[0, 1] < 2.0
    assert cross_validated_error(Ridge(), x[:1], np.array([3.0])) == 1.0, (
        "one record tells nothing of the error"
    )


def test_classes_are_those_of_the_training_part():
    rows, x = records()
    model = Plain().fit(rows, np.where(x[:, 0] > 0, 4, 2))
    assert list(model.classes_) == [2, 4] and model.predict_proba(rows).shape == (60, 2)


def test_what_a_subclass_must_say_is_named():
    rows, x = records(4)
    with pytest.raises(TypeError, match="FeatureBaseline lacks features"):
        FeatureBaseline().fit(rows, x[:, 0])
