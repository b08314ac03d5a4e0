"""Backbones, heads and objectives."""
