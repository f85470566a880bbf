"""The parameters of paths and queries: names, types and descriptions."""

from __future__ import annotations

from dataclasses import dataclass

from apiserver.request.query import FIELD_VALIDATIONS, PROPAGATION_POLICIES


@dataclass(frozen=True, slots=True)
class Parameter:
    """`type` is JSON's, "array" for strings that may be given many times."""

    name: str
    description: str
    type: str = "string"
    place: str = "query"
    values: tuple[str, ...] = ()


_ALL = (
    Parameter("namespace", "The namespace that the objects live in.", place="path"),
    Parameter("name", "The name of the object.", place="path"),
    Parameter(
        "allowWatchBookmarks",
        "Whether a watch sends events of type BOOKMARK from time to time. They carry only the revision up to which the "
        "client has received all changes.",
        "boolean",
    ),
    Parameter(
        "continue",
        "The token from the metadata of the previous page; the answer is the next page. A token that is too old "
        "is answered with 410.",
    ),
    Parameter("fieldSelector", 'Selects objects by their fields, such as "status.phase=Running". Default: all.'),
    Parameter("labelSelector", 'Selects objects by their labels, such as "app in (web,api)". Default: all.'),
    Parameter(
        "limit",
        "The maximum number of objects. If more are left, the metadata has a token for `continue`. 0 means no limit.",
        "integer",
    ),
    Parameter(
        "resourceVersion",
        "The age of the answer: unset for the latest state, 0 for any state, a revision for a state at least as new. A "
        "watch begins after it.",
    ),
    Parameter(
        "resourceVersionMatch",
        "The meaning of `resourceVersion`: Exact for the state at that revision, NotOlderThan also for a later one.",
        values=("Exact", "NotOlderThan"),
    ),
    Parameter(
        "sendInitialEvents",
        "Whether a watch begins with an ADDED event for each existing object, followed by a bookmark. Requires "
        "resourceVersionMatch=NotOlderThan.",
        "boolean",
    ),
    Parameter(
        "timeoutSeconds",
        "Seconds after which the server ends a watch. Default: 30 to 60 minutes.",
        "integer",
    ),
    Parameter("watch", "Whether to stream every change, one event a line, instead of a list.", "boolean"),
    Parameter(
        "dryRun",
        "All: the request is checked and answered as usual, but nothing is stored.",
        values=("All",),
    ),
    Parameter(
        "fieldManager",
        "The name under which managedFields records the fields of this write; at most 128 characters. Required for "
        "an apply patch.",
    ),
    Parameter(
        "fieldValidation",
        "The treatment of unknown and duplicate fields: Ignore drops them, Warn (the default) drops them with a "
        "Warning header for each, Strict refuses the request.",
        values=FIELD_VALIDATIONS,
    ),
    Parameter(
        "force",
        "Whether an apply patch takes over fields of other managers instead of failing with a conflict.",
        "boolean",
    ),
    Parameter(
        "gracePeriodSeconds",
        "Seconds that the object has to end by itself; 0 deletes it at once. The default depends on the kind.",
        "integer",
    ),
    Parameter("orphanDependents", "Deprecated in favour of propagationPolicy: true is the same as Orphan.", "boolean"),
    Parameter(
        "propagationPolicy",
        "The treatment of the objects that this one owns: Background deletes them afterwards, Foreground deletes them "
        "first, Orphan keeps them.",
        values=PROPAGATION_POLICIES,
    ),
    Parameter("pretty", "Whether the JSON is indented for people. Default: only for browsers, curl and wget."),
    Parameter("container", "The name of the container. Default: the default container of the pod, or its only one."),
    Parameter("follow", "Whether to stream the further output of the container.", "boolean"),
    Parameter("limitBytes", "The maximum number of bytes of the log; a line may be cut.", "integer"),
    Parameter("previous", "Whether to send the log of the container's previous run.", "boolean"),
    Parameter("sinceSeconds", "The maximum age of lines in seconds.", "integer"),
    Parameter("sinceTime", "The time, in RFC 3339, from which lines are sent."),
    Parameter("tailLines", "The number of lines to send from the end of the log.", "integer"),
    Parameter("timestamps", "Whether each line begins with its time.", "boolean"),
    Parameter("command", "The program and its arguments, one parameter each; no shell is involved.", "array"),
    Parameter("stdin", "Whether the client's input goes to the process.", "boolean"),
    Parameter("stdout", "Whether the output of the process goes to the client.", "boolean"),
    Parameter("stderr", "Whether the error output of the process goes to the client.", "boolean"),
    Parameter("tty", "Whether the process has a terminal, which joins output and error output.", "boolean"),
    Parameter("ports", "The ports of the pod to forward.", "array"),
    Parameter("path", "The path to request from the target of the proxy."),
)

PARAMETERS = {parameter.name: parameter for parameter in _ALL}
PROXIED_PATH = Parameter("path", "The path to request from the target of the proxy, and below.", place="path")

LIST = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "pretty", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip
GET = ("pretty", "resourceVersion")
WRITE = ("dryRun", "fieldManager", "fieldValidation", "pretty")
PATCH = (*WRITE, "force")
DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "pretty", "propagationPolicy")
DELETE_COLLECTION = (
    "continue", "dryRun", "fieldSelector", "gracePeriodSeconds", "labelSelector", "limit", "orphanDependents",
    "pretty", "propagationPolicy", "resourceVersion", "resourceVersionMatch", "timeoutSeconds",
)  # fmt: skip

OF_SUBRESOURCE = {
    "attach": ("container", "stderr", "stdin", "stdout", "tty"),
    "exec": ("command", "container", "stderr", "stdin", "stdout", "tty"),
    "log": (
        "container", "follow", "limitBytes", "previous", "sinceSeconds", "sinceTime", "tailLines", "timestamps",
    ),
    "portforward": ("ports",),
    "proxy": ("path",),
}  # fmt: skip
"""The query parameters of streaming subresources."""
