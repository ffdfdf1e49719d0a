"""Tests that share an application or a trained bundle run in one process."""

from __future__ import annotations

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="tests run in one process anyhow")
def test_side_by_side_every_test_belongs_to_a_group(request):
    """pytest-xdist writes the group behind the test's id, and shares the tests out by that alone."""
    assert request.node.nodeid.endswith("@house/test_groups.py")
