"""Simulated galaxies: Sersic profiles through a point-spread function, with noise. Needs galsim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Licence, Record
from scizoo.errors import ConfigError, MachineError, did_you_mean
from scizoo.files import sha256_json
from scizoo_astronomy.datasets.base import AstronomyDataset
from scizoo_astronomy.objects import Image

TARGETS = ("morphology", "sersic", "half_light_radius", "ellipticity")


class SimulatedGalaxies(AstronomyDataset):
    """Cut-outs of simulated galaxies, drawn by galsim (Rowe et al. 2015, Astronomy and Computing 10, 121).

    Half of them are spheroids (Sersic index 2.5 to 5), half discs (0.5 to 1.5), of random size, flux and
    ellipticity, through a Moffat point-spread function, with Gaussian noise. They serve for trials and for
    pre-training beside real images; no score on them says anything about the sky.

    Parameters
    ----------
    count : int
        How many galaxies.
    target : {"morphology", "sersic", "half_light_radius", "ellipticity"} or None
        ``morphology`` is spheroid or disc; the others are numbers (arcseconds for the radius).
    size : int
        Pixels of a side.
    pixel_scale : float
        Arcseconds a pixel.
    seeing : float
        Full width at half maximum of the point-spread function, in arcseconds.
    signal_to_noise : (float, float)
        Least and most, over the galaxy's light; evenly in its logarithm.
    seed : int
    max_rejected : float
    """

    licence = Licence("CC0-1.0")
    citation = (
        "Rowe et al. (2015) GALSIM: The modular galaxy image simulation toolkit. Astron. Comput. 10, 121"
    )

    def __init__(
        self,
        *,
        count: int = 1000,
        target: str | None = "morphology",
        size: int = 48,
        pixel_scale: float = 0.2,
        seeing: float = 0.7,
        signal_to_noise: Sequence[float] = (20.0, 200.0),
        seed: int = 0,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        if target is not None and target not in TARGETS:
            raise ConfigError(f"data.target={target}: {did_you_mean(target, TARGETS)}")
        low, high = map(float, signal_to_noise)
        if count < 1 or size < 16 or min(pixel_scale, seeing, low) <= 0 or high < low:
            raise ConfigError(
                f"data: count={count}, size={size}, pixel_scale={pixel_scale}, seeing={seeing}, "
                f"signal_to_noise=[{low}, {high}]",
                expected="count from 1, size from 16, the others above 0, signal_to_noise ascending",
            )
        self.count, self.target, self.size = count, target, size
        self.pixel_scale, self.seeing = float(pixel_scale), float(seeing)
        self.signal_to_noise, self.seed = (low, high), seed

    @property
    def name(self) -> str:
        """The data set, for messages and cards."""
        return f"{self.count:,} simulated galaxies (galsim)"

    def settings(self) -> dict[str, Any]:
        """Return everything that changes the records."""
        names = ("count", "target", "size", "pixel_scale", "seeing", "signal_to_noise", "seed")
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Digest of the settings and of galsim's version."""
        return sha256_json({"class": type(self).__qualname__, "galsim": _galsim().version, **self.settings()})

    def records(self) -> Iterator[Record]:
        """Yield the galaxies; each is drawn from the seed and its number alone."""
        galsim = _galsim()
        psf = galsim.Moffat(beta=3.0, fwhm=self.seeing)
        for number in range(self.count):
            draw = np.random.default_rng([self.seed, number])
            disc = bool(draw.integers(2))
            index = float(draw.uniform(0.5, 1.5) if disc else draw.uniform(2.5, 5.0))
            radius = float(np.exp(draw.uniform(np.log(0.4), np.log(1.2))))
            ellipticity, angle = float(draw.uniform(0, 0.7 if disc else 0.4)), float(draw.uniform(0, 180))
            galaxy = galsim.Sersic(n=index, half_light_radius=radius).shear(
                e=ellipticity, beta=angle * galsim.degrees
            )
            moved = galaxy.shift(*draw.uniform(-0.5, 0.5, 2) * self.pixel_scale)
            drawn = galsim.Convolve(moved, psf).drawImage(
                nx=self.size, ny=self.size, scale=self.pixel_scale, dtype=np.float64
            )
            wanted = float(np.exp(draw.uniform(*np.log(self.signal_to_noise))))
            noise = float(np.sqrt((drawn.array**2).sum()) / wanted)
            pixels = (drawn.array + draw.normal(0, noise, drawn.array.shape)) / noise
            truth: dict[str, Any] = {
                "morphology": "disc" if disc else "spheroid",
                "sersic": index,
                "half_light_radius": radius,
                "ellipticity": ellipticity,
            }
            target = truth.pop(self.target) if self.target else None
            image = Image(pixels, unit="", bands=("simulated",), pixel_scale=self.pixel_scale)
            meta = {"signal_to_noise": wanted, **truth}
            yield Record(f"galaxy-{number}", image, target, None, meta, f"simulated galaxy {number}")


def _galsim() -> Any:
    try:
        import galsim
    except ImportError as error:
        raise MachineError(
            "simulated galaxies need galsim, which is not installed.",
            remedy="pip install 'scizoo-astronomy[sim]'",
        ) from error
    return galsim
