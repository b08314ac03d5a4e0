"""scizoo: a zoo of domain-specialist foundation models."""

__version__ = "0.1.0"
