"""Lets pytest explain the assertions of the shipped suite."""

import pytest

pytest.register_assert_rewrite("scizoo.testing.suite")
