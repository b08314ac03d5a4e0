"""The contract suite on every installed domain."""

from scizoo.testing.suite import *  # noqa: F403
