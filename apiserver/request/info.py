"""The resource and verb of a request, read from its method and path alone: a pure function, tested on its own.

Source: Kubernetes API concepts, "Resource URIs".
"""

from __future__ import annotations

from typing import NamedTuple

from apimachinery.selectors import FieldSelector

VERB_OF_METHOD = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


class RequestInfo(NamedTuple):  # a tuple: a frozen dataclass of ten fields takes three times as long to make
    """`verb` is Kubernetes' own: "list" and "watch" where the path names a collection, "deletecollection" likewise.

    For any other path `is_resource` is False, and only `path` and `verb` (the lower-case method) count.
    """

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: str = ""
    """The rest of the path behind the subresource, for proxies: "metrics/cadvisor"."""
    fields: FieldSelector | None = None
    """The field selector of what is authorized: some may only list what they select."""


def access(
    verb: str,
    resource: str,
    name: str = "",
    *,
    group: str = "",
    version: str = "*",
    namespace: str = "",
    subresource: str = "",
) -> RequestInfo:
    """Makes a request that nobody has sent, to ask an authorizer whether a user may do this as well."""
    return RequestInfo(verb, "", True, group, version, namespace, resource, subresource, name)


def parse_request(method: str, path: str, *, watch: bool = False) -> RequestInfo:
    """`watch` is whether the query asks for it; it only matters for a collection.

    /api/v1/namespaces/NAME is the namespace NAME itself and carries it as its namespace too, as upstream has it.
    """
    parts = path.split("/")
    if len(parts) < 4 or parts[0]:
        return RequestInfo(method.lower(), path)
    if parts[1] == "api":
        group, version, rest = "", parts[2], parts[3:]
    elif parts[1] == "apis" and len(parts) >= 5 and parts[2]:
        group, version, rest = parts[2], parts[3], parts[4:]
    else:
        return RequestInfo(method.lower(), path)
    if rest[-1] == "":
        rest = rest[:-1]
    if not version or not rest or ("" in rest and "proxy" not in rest[:5]):  # what is proxied may have empty parts
        return RequestInfo(method.lower(), path)
    of_old = rest[0] == "watch" and len(rest) > 1
    if of_old:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    verb = _verb(method, name=bool(name), watch=not subresource and (of_old or (watch and not name)))
    return RequestInfo(verb, path, True, group, version, namespace, resource, subresource, name, "/".join(rest[3:]))


def _verb(method: str, *, name: bool, watch: bool) -> str:
    if method in ("GET", "HEAD"):
        if watch:
            return "watch"
        return "get" if name else "list"
    if method == "DELETE" and not name:
        return "deletecollection"
    return VERB_OF_METHOD.get(method, method.lower())
