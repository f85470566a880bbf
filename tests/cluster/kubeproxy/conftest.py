"""The node that tests of rules share, in each mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubeproxy.settings import Mode
from tests.kits.machine.proxied_node import ProxiedNode


@pytest.fixture(scope="module")
def shared_node() -> Iterator[ProxiedNode]:
    node = ProxiedNode()
    yield node
    node.close()


@pytest.fixture(params=list(Mode))
def node(request: pytest.FixtureRequest, shared_node: ProxiedNode) -> Iterator[ProxiedNode]:
    shared_node.mode = request.param
    shared_node.cleanup()
    shared_node.host.command("conntrack", "-F")
    yield shared_node
    shared_node.cleanup()
