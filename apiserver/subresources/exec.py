"""`pods/exec`: a command in a container, over WebSocket or SPDY.

Source: Kubernetes API reference, "Pod", "connect to exec of the specified Pod".
"""

from __future__ import annotations

from urllib.parse import urlencode

from apimachinery.errors import BadRequest
from apiserver.handlers._shared import Target
from apiserver.main.context import Context
from apiserver.proxy.upgrade import connect_container, stream_query
from apiserver.request.message import Answer, Request
from apiserver.subresources._subresource import Subresource


async def exec_(context: Context, request: Request, target: Target) -> Answer:
    """Returns when either side has closed."""
    command = request.query.get("command")
    if not command:
        raise BadRequest("you must specify at least one command for the container")
    query = urlencode(stream_query(request.query) + [("command", part) for part in command])
    return await connect_container(context, request, target, "exec", query)


SUBRESOURCE = Subresource("pods", "exec", {"get": exec_, "create": exec_}, kind="PodExecOptions", long_running=True)
