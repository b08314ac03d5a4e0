"""Time series for scizoo: forecasting, classification, anomalies and imputation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scizoo.domain import Domain

if TYPE_CHECKING:
    from scizoo_timeseries.frames import predict_df

__all__ = ["DOMAIN", "predict_df"]

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


def __getattr__(name: str) -> Any:
    # pandas is imported when it is asked for: importing a plugin costs nothing.
    if name == "predict_df":
        from scizoo_timeseries.frames import predict_df

        return predict_df
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
