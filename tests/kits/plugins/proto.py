"""Messages and servers of Google's own protobuf and grpcio, so that what the kubelet speaks is held against them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = re.compile(r"(?P<type>[\w<>,*]+) (?P<name>\w+) = (?P<number>\d+)")
_Proto = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Proto.TYPE_STRING,
    "bool": _Proto.TYPE_BOOL,
    "int64": _Proto.TYPE_INT64,
    "int32": _Proto.TYPE_INT32,
}


def messages(package: str, declarations: Mapping[str, str]) -> Any:
    """Makes classes of declarations: `{"Volume": "int64 capacity_bytes = 1; string* tags = 2; map labels = 3"}`.

    A star makes a list; `map` is of texts, `map<Volume>` of messages; another type is a message of the same package.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in declarations.items():
        message = file.message_type.add(name=name)
        for match in _FIELD.finditer(fields):
            _add_field(message, f".{package}.", name, match["type"], match["name"], int(match["number"]))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    return SimpleNamespace(
        **{
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))  # type: ignore[no-untyped-call]
            for name in declarations
        }
    )


def _add_field(message: Any, package: str, owner: str, kind: str, name: str, number: int) -> None:
    many = kind.endswith("*") or kind.startswith("map")
    field = message.field.add(
        name=name, number=number, label=_Proto.LABEL_REPEATED if many else _Proto.LABEL_OPTIONAL, json_name=name
    )
    kind = kind.removesuffix("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _Proto.TYPE_MESSAGE
    if not kind.startswith("map"):
        field.type_name = package + kind
        return
    entry = "".join(word.capitalize() for word in name.split("_")) + "Entry"
    field.type_name = f"{package}{owner}.{entry}"
    nested = message.nested_type.add(name=entry)
    nested.options.map_entry = True
    _add_field(nested, package, "", "string", "key", 1)
    _add_field(nested, package, "", kind.removeprefix("map").strip("<>") or "string", "value", 2)


class PluginServer:
    """grpcio's server on a socket; `methods` by path: (request class, handler, whether it streams answers)."""

    def __init__(self, path: str, methods: Mapping[str, tuple[Any, Callable[[Any, Any], Any], bool]]) -> None:
        self.path = path
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8))
        services: dict[str, dict[str, Any]] = {}
        for method, (request, handler, streams) in methods.items():
            _, service, name = method.split("/")
            make = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
            services.setdefault(service, {})[name] = make(handler, request.FromString, lambda m: m.SerializeToString())
        for service, handlers in services.items():
            generic = grpc.method_handlers_generic_handler(service, handlers)
            self._server.add_generic_rpc_handlers((generic,))
        self._server.add_insecure_port(f"unix:{path}")

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(grace=0).wait()


def call(path: str, method: str, request: Any, answer: Any) -> Any:
    """Calls a service on a socket with grpcio's client. Raises: grpc.RpcError."""
    with grpc.insecure_channel(f"unix:{path}") as channel:
        unary = channel.unary_unary(method, lambda m: m.SerializeToString(), answer.FromString)
        return unary(request, timeout=20, wait_for_ready=True)
