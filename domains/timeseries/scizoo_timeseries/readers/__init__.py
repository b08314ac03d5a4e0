"""Readers of the field's file formats; each yields one :class:`~scizoo_timeseries.series.Series` at a time."""
