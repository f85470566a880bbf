"""The patches of `apply`."""

from __future__ import annotations

import pytest

from kubectl.commands.advanced.apply import compute_patch
from kubectl.invocation.command import UsageError


def test_apply_without_overwriting_refuses_what_others_have_changed() -> None:
    current = {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"x": 2, "y": 1}}
    wanted = {**current, "spec": {"x": 3, "y": 1}}
    assert compute_patch(current, wanted) == ({"spec": {"x": 3}}, "application/merge-patch+json")
    with pytest.raises(UsageError, match=r"the patch changes spec\.x, which"):
        compute_patch(current, wanted, overwrite=False)
