"""What FlowSchemas and PriorityLevelConfigurations share."""

from __future__ import annotations

from apimachinery.meta import StatusCondition

GROUP = "flowcontrol.apiserver.k8s.io"
EXEMPT = "exempt"
CATCH_ALL = "catch-all"
"""The two names whose schema and level always exist and keep their spec."""


class FlowCondition(StatusCondition, protobuf="type status lastTransitionTime reason message"):
    """An observation of a flow schema or a priority level."""
