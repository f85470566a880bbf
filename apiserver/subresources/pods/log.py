"""`pods/log`: a container's output, streamed from its kubelet.

Source: Kubernetes API reference, "Pod", "read log of the specified Pod".
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

from apimachinery.errors import FieldError, forbidden, invalid, invalid_object
from apiserver.http.types import ClientDisconnected
from apiserver.proxy.kubelet import KubeletClient, refusal
from apiserver.proxy.upgrade import IDLE_SECONDS
from apiserver.proxy.websocket import as_bytes
from apiserver.registry.store import Store
from apiserver.request.message import TEXT, Answer, Request, Response, Stream
from apiserver.request.query import Query, parse_bool, parse_int
from apiserver.subresources._subresource import Parameter, Subresource
from apiserver.subresources.pods._target import choose_container, kubelet_path
from componentbase.net.http1_client import ResponseStream
from kubeapi.core.pod.model import Pod

FLAGS = ("follow", "previous", "timestamps")
NUMBERS = ("sinceSeconds", "tailLines", "limitBytes")
LEAST = {"sinceSeconds": 1, "tailLines": 0, "limitBytes": 1}


async def log(request: Request, store: Store[Pod], *, kubelet: KubeletClient) -> Answer:
    """Answers with the text as it comes, over a WebSocket if asked. A pod without a node has written nothing."""
    query = log_query(request.query, request.info.name)
    pod = await store.read_object(request.info.namespace, request.info.name)
    container = choose_container(pod, request.parameter("container"))
    if not pod.spec.nodeName:
        return Response(b"", status=204)
    path = f"{kubelet_path('containerLogs', pod, container)}?{query}"
    response = await kubelet.open(await kubelet.locate(pod.spec.nodeName), path, [(b"connection", b"close")])
    if response.status != 200:
        raise await refusal(response)
    text = Stream(_lines(response), close=response.close, content_type=TEXT, patience_seconds=IDLE_SECONDS)
    return await as_bytes(request, text)


async def _lines(answer: ResponseStream) -> AsyncIterator[bytes]:
    """A log that breaks off with its kubelet is cut short for the client too, who could not tell otherwise."""
    try:
        async for chunk in answer:
            yield chunk
    except ConnectionError:
        raise ClientDisconnected from None


def log_query(query: Query, name: str) -> str:
    """The kubelet's query. Raises: BadRequest, Invalid."""
    errors: list[FieldError] = []
    pairs: list[tuple[str, str]] = [(flag, "true") for flag in FLAGS if parse_bool(query, flag)]
    for number in NUMBERS:
        value = parse_int(query, number)
        if value is None:
            continue
        if value < LEAST[number]:
            errors.append(invalid(number, value, f"must be greater than or equal to {LEAST[number]}"))
        pairs.append((number, str(value)))
    if query.get("sinceTime"):
        pairs.append(("sinceTime", query["sinceTime"][0]))
        if query.get("sinceSeconds"):
            errors.append(forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    if errors:
        raise invalid_object("PodLogOptions", "", name, errors)
    return urlencode(pairs)


SUBRESOURCE = Subresource(
    "pods",
    "log",
    {"get": log},
    kind="Pod",
    long_running=True,
    parameters=(
        Parameter(
            "container", "The name of the container. Default: the default container of the pod, or its only one."
        ),
        Parameter("follow", "Whether to stream the further output of the container.", "boolean"),
        Parameter("limitBytes", "The maximum number of bytes of the log; a line may be cut.", "integer"),
        Parameter("previous", "Whether to send the log of the container's previous run.", "boolean"),
        Parameter("sinceSeconds", "The maximum age of lines in seconds.", "integer"),
        Parameter("sinceTime", "The time, in RFC 3339, from which lines are sent."),
        Parameter("tailLines", "The number of lines to send from the end of the log.", "integer"),
        Parameter("timestamps", "Whether each line begins with its time.", "boolean"),
    ),
)
