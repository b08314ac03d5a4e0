"""Spectral lines of galaxies, quasars and stars by their wavelength at rest."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """A line: its name and its wavelength at rest, in vacuum Angstrom."""

    name: str
    wavelength: float


#: Vacuum wavelengths of the Sloan Digital Sky Survey's table of common lines.
LINES = (
    Line("Lyα", 1215.67),
    Line("N V", 1240.81),
    Line("Si IV", 1397.61),
    Line("C IV", 1549.48),
    Line("C III]", 1908.73),
    Line("Mg II", 2799.12),
    Line("[O II]", 3728.48),
    Line("Ca K", 3934.78),
    Line("Ca H", 3969.59),
    Line("Hδ", 4102.89),
    Line("G band", 4305.61),
    Line("Hγ", 4341.68),
    Line("Hβ", 4862.68),
    Line("[O III]", 4960.30),
    Line("[O III]", 5008.24),
    Line("Mg b", 5176.63),
    Line("Na D", 5895.60),
    Line("[O I]", 6302.05),
    Line("Hα", 6564.61),
    Line("[N II]", 6585.27),
    Line("[S II]", 6718.29),
    Line("[S II]", 6732.67),
    Line("Ca II", 8500.36),
    Line("Ca II", 8544.44),
    Line("Ca II", 8664.52),
)


def lines_within(low: float, high: float, redshift: float = 0.0) -> list[Line]:
    """Return the lines that a redshift puts between two wavelengths, at their observed wavelengths."""
    seen = (Line(line.name, line.wavelength * (1.0 + redshift)) for line in LINES)
    return [line for line in seen if low <= line.wavelength <= high]
