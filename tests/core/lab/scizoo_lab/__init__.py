"""A plugin for tests: waves sampled at odd times, pictures, and rings of beads."""

from scizoo.domain import Domain

DOMAIN = Domain(name="lab", summary="Made-up measurements for tests", package="scizoo_lab")
