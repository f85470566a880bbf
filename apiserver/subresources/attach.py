"""`pods/attach`: the input and output of a container's own process, over WebSocket or SPDY.

Source: Kubernetes API reference, "Pod", "connect to attach of the specified Pod".
"""

from __future__ import annotations

from urllib.parse import urlencode

from apiserver.handlers._shared import Target
from apiserver.main.context import Context
from apiserver.proxy.upgrade import connect_container, stream_query
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import Subresource


async def attach(context: Context, request: Request, target: Target) -> Answer:
    """Returns when either side has closed."""
    query = urlencode(stream_query(request.query))
    return await connect_container(context, request, target, "attach", query)


SUBRESOURCE = Subresource(
    "pods", "attach", {"get": attach, "create": attach}, kind="PodAttachOptions", long_running=True
)
