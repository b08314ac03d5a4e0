"""Astronomy for scizoo: light curves, spectra and images."""

from scizoo.domain import Domain

DOMAIN = Domain(
    name="astronomy",
    summary="Models of light curves, spectra and images: variable stars, redshifts, morphology",
    package="scizoo_astronomy",
    formats=(
        *("FITS image", "FITS table", "FITS spectrum", "VOTable", "ECSV", "CSV", "Parquet"),
        *("light-curve archive (tar.gz)", "NPZ images"),
    ),
    checkpoints={"lightcurve-tiny": "checkpoints/lightcurve-tiny"},
    picture="scizoo_astronomy.picture.draw",
    requires=("astropy", "astropy_healpix"),
)
