"""The conditions of `wait`."""

import pytest

from kubectl.commands.advanced.wait import parse_condition
from kubectl.invocation.command import UsageError


def test_wait_conditions():
    pod = {"metadata": {}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    assert parse_condition("condition=Ready")(pod)
    assert parse_condition("condition=ready=true")(pod)
    assert not parse_condition("condition=Ready=False")(pod)
    assert not parse_condition("condition=Ready")(None)
    assert parse_condition("delete")(None)
    assert parse_condition("create")(pod)
    assert parse_condition("jsonpath={.status.phase}=Running")(pod)
    assert not parse_condition("jsonpath={.status.phase}=Failed")(pod)
    assert parse_condition("jsonpath={.status.phase}")(pod)
    with pytest.raises(UsageError):
        parse_condition("happiness")
