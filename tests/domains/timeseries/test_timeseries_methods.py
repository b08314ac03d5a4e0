"""Baselines against their library, synthetic series, anomalies, imputation, frames and pictures."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scizoo.data.records import Record
from scizoo.errors import ConfigError, DataError
from scizoo_timeseries import predict_df
from scizoo_timeseries.anomaly import AnomalyScores
from scizoo_timeseries.baselines import AutoETS, SeasonalNaive, Theta, filled
from scizoo_timeseries.convolutions import ConvolutionRidge
from scizoo_timeseries.datasets.corpus import ForecastCorpus
from scizoo_timeseries.datasets.whole import WholeSeries
from scizoo_timeseries.imputation import hidden_runs, imputation_errors, seasonal_fill
from scizoo_timeseries.picture import draw
from scizoo_timeseries.series import Series, seasonal_scale

LEVELS = (0.1, 0.5, 0.9)


def window(values, season=24, horizon=12, id="a"):
    series = Series(values, np.arange(len(values)), "h", id, season)
    return Record(id, series, np.zeros(horizon), None, {"series": id})


def fitted(method, horizon=12):
    return method.fit([], np.zeros((1, horizon)))


def test_seasonal_naive_is_statsforecasts(wave):
    from statsforecast.models import SeasonalNaive as Reference

    values = wave(240)
    out = Reference(season_length=24).forecast(y=values, h=30, level=[80])
    found = fitted(SeasonalNaive(), 30).predict_quantiles([window(values)], LEVELS)[0]
    np.testing.assert_allclose(found[:, 1], out["mean"])
    np.testing.assert_allclose(found[:, 2], out["hi-80"], rtol=0.02)
    assert fitted(SeasonalNaive()).error_scale([window(values)])[0] == pytest.approx(
        np.abs(values[24:] - values[:-24]).mean()
    )
    assert np.isnan(seasonal_scale(np.full(100, 3.0), 24))


@pytest.mark.parametrize("method", [AutoETS, Theta])
def test_statistical_methods_beat_nothing_with_order(method, wave):
    records = [window(wave(200, 12, seed), season=12, id=str(seed)) for seed in range(2)]
    flat = window(np.full(60, 5.0))
    short = window(np.array([1.0, 2.0, np.nan, 3.0]), season=12)
    found = fitted(method()).predict_quantiles([*records, flat, short], LEVELS)
    assert found.shape == (4, 12, 3)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=2) >= 0).all()
    assert (found[2] == 5).all()
    truth = wave(212, 12, 0)[200:]
    assert np.abs(found[0, :, 1] - truth).mean() < 1.0
    np.testing.assert_array_equal(found, fitted(method()).predict_quantiles([*records, flat, short], LEVELS))


def test_missing_values_are_interpolated():
    np.testing.assert_array_equal(filled(np.array([np.nan, 1, np.nan, 3, np.nan])), [1, 1, 2, 3, 3])


def test_convolutions_tell_slow_from_fast(wave):
    records = [Record(str(n), wave(60, 8 if n % 2 else 20, n), None) for n in range(60)]
    targets = np.arange(60) % 2
    model = ConvolutionRidge(features=500).fit(records[:40], targets[:40])
    probability = model.predict_proba(records[40:])
    assert (probability.argmax(axis=1) == targets[40:]).mean() >= 0.95
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    several = [Record(str(n), np.stack([wave(30, 5, n)] * 3, axis=1)[: 30 - n % 3], None) for n in range(12)]
    assert ConvolutionRidge(200).fit(several, targets[:12]).predict_proba(several).shape == (12, 2)


def test_the_corpus_is_the_same_for_a_seed_and_finite():
    one, two = (list(ForecastCorpus(synthetic=30, mixed=0, real=0)) for _ in range(2))
    assert [r.input for r in one] == [r.input for r in two]
    assert one[0].input != next(iter(ForecastCorpus(synthetic=1, mixed=0, real=0, seed=1))).input
    assert all(np.isfinite(r.input.values).all() and r.input.origin == len(r.input) - 64 for r in one)
    assert len({len(r.input) for r in one}) > 1
    real = list(ForecastCorpus(synthetic=0, mixed=2, real=3, measured=[], length=128))
    assert len(real) == 5
    with pytest.raises(ConfigError, match="not for pre-training"):
        ForecastCorpus(sets=["co2"])


class Forecaster:
    """Stands where a checkpoint would: repeats the last day."""

    kind, name = "forecast", "yesterday"

    def predict(self, inputs, batch_size=64, *, horizon, levels):
        from scipy.special import ndtri

        spread = ndtri(np.asarray(levels))
        point = [filled(one.values)[-24:][np.arange(horizon) % min(24, len(one))] for one in inputs]
        return SimpleNamespace(quantiles=np.array(point)[:, :, None] + spread)


def test_predict_df_gives_a_column_a_quantile(wave, caplog):
    stamps = pd.date_range("2020-01-01", periods=72, freq="h")
    frame = pd.concat(
        [
            pd.DataFrame({"unique_id": name, "ds": stamps, "y": wave(72, 24, seed)})
            for seed, name in enumerate("ba")
        ]
        + [pd.DataFrame({"unique_id": "short", "ds": stamps[:1], "y": [1.0]})]
    )
    with caplog.at_level(logging.WARNING):
        found = predict_df(Forecaster(), frame, horizon=5, levels=[0.9, 0.1, 0.5])
    assert "series 'short'" in caplog.text
    assert list(found.columns) == ["unique_id", "ds", "0.1", "0.5", "0.9"]
    assert found["unique_id"].tolist() == ["b"] * 5 + ["a"] * 5
    assert found["ds"][0] == pd.Timestamp("2020-01-04 00:00")
    assert (found["0.1"] < found["0.9"]).all()
    aware = frame[frame.unique_id == "a"].assign(ds=stamps.tz_localize("Europe/Berlin"))
    assert str(predict_df(Forecaster(), aware, 2)["ds"].dtype) == "datetime64[ns, Europe/Berlin]"
    with pytest.raises(DataError, match=r"levels=\[0.1, 0.9\]"):
        predict_df(Forecaster(), frame, 5, levels=[80])
    with pytest.raises(DataError, match="did you mean 'y'"):
        predict_df(Forecaster(), frame, 5, target="yy")


def test_anomalies_stand_out(write_long, wave):
    values, label = wave(400, 24), np.zeros(400)
    places = [250, 300, 351]
    values[places] += 8
    label[places] = 1
    stamps = pd.date_range("2020-01-01", periods=400, freq="h")
    path = write_long({"a": (stamps, values)}, label=lambda frame: label)
    scores = AnomalyScores(WholeSeries(str(path), label="label"))
    table = scores.predict(Forecaster())
    test = table[table.part == "test"]
    assert set(places) <= set(test.index[test.anomaly])
    assert test.label.sum() == 3
    from scizoo_timeseries.anomaly import detection_metrics

    assert detection_metrics(table)["AUROC of the model"] > 0.95
    with pytest.raises(ConfigError, match="does not reconstruct"):
        AnomalyScores(WholeSeries(str(path))).predict(
            SimpleNamespace(kind="embedding", name="x", checkpoint=SimpleNamespace(tokenizer=None))
        )


def test_imputation_hides_exactly_and_fills_by_season(wave):
    values = wave(200, 24)
    values[50:60] = np.nan
    mask = hidden_runs(values, 0.2, 6.0, np.random.default_rng(0))
    assert mask.sum() == round(0.2 * 190)
    assert not mask[50:60].any()
    shown = np.where(mask, np.nan, np.sin(2 * np.pi * np.arange(200) / 24))
    np.testing.assert_allclose(seasonal_fill(shown, 24), np.sin(2 * np.pi * np.arange(200) / 24), atol=1e-9)
    table = pd.DataFrame(
        {"unique_id": "a", "kind": ["hidden", "missing"], "y": [1.0, np.nan]}
        | {"model": [1.5, 0.0], "interpolation": [2.0, 0.0], "seasonal": [1.0, 0.0]}
    )
    assert imputation_errors(table, {"a": 2.0}) == {"model": 0.25, "interpolation": 0.5, "seasonal": 0.0}


def test_runs_are_hidden_value_by_value_and_reconstructed():
    torch = pytest.importorskip("torch")
    from scizoo_timeseries.objectives import MaskedRuns

    values = torch.randn(2, 4, 16)
    observed = torch.ones_like(values, dtype=torch.bool)
    observed[0, 0, :5] = False
    head = MaskedRuns(8, 16, fraction=0.25, mean_length=4.0, longest=20)
    batch = head.prepare({"values": values, "observed": observed}, torch.Generator().manual_seed(0))
    hidden = ~batch["target"].isnan()
    assert hidden[0].sum() == round(0.25 * 59)
    assert not (hidden & ~observed).any()
    assert (batch["values"][hidden] == 0).all()
    assert (batch["observed"][hidden] == 0).all()
    assert "masked" not in batch
    assert hidden.any(dim=2).sum() > hidden.all(dim=2).sum()


def test_pictures_are_drawn(wave):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3)
    quantiles = np.sort(np.random.default_rng(0).normal(size=(12, 9)), axis=1)
    said = {"median": quantiles[:, 4].tolist(), "quantiles": quantiles.tolist(), "levels": LEVELS}
    draw(axes[0], window(wave(100)), said)
    assert len(axes[0].collections) == 4
    draw(axes[1], window(wave(100)), None)
    draw(axes[2], Record("x", np.stack([wave(30)] * 2, axis=1), "a"), "b")
    assert "predicted: b" in axes[2].get_title()
    plt.close(figure)
