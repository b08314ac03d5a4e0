"""Time series for scizoo: forecasting, classification, anomalies and imputation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scizoo.domain import Domain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

DOMAIN = Domain(
    name="timeseries",
    summary="Forecasting with quantiles, classification, anomalies and imputation of time series",
    package="scizoo_timeseries",
    formats=(
        "long CSV/Parquet",
        "wide CSV/Parquet",
        ".ts (sktime, aeon)",
        ".tsf (Monash)",
        "M4 CSV",
        "ETT CSV",
    ),
    checkpoints={"forecast-tiny": "checkpoints/forecast-tiny"},
    picture="scizoo_timeseries.picture.draw",
    requires=("statsforecast", "utilsforecast", "statsmodels"),
)


def predict_df(
    model: Any,
    df: pd.DataFrame,
    horizon: int,
    levels: Sequence[float] = (0.1, 0.5, 0.9),
    freq: str | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Forecast every series of a frame; see :func:`scizoo_timeseries.frames.predict_df`."""
    from scizoo_timeseries.frames import predict_df as predict

    return predict(model, df, horizon, levels, freq=freq, **options)
