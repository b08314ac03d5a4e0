"""Features of the classical baselines: light curves, spectra, images and catalogue rows as numbers."""
