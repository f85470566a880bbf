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
        "Whether a watch sends events of type BOOKMARK now and then: they carry nothing but the revision the client "
        "has seen all changes up to.",
        "boolean",
    ),
    Parameter(
        "continue",
        "The token from the metadata of the page before: the answer is the page after it. A token too old to be "
        "followed is answered with 410.",
    ),
    Parameter("fieldSelector", 'Selects objects by their fields, such as "status.phase=Running". Default: all.'),
    Parameter("labelSelector", 'Selects objects by their labels, such as "app in (web,api)". Default: all.'),
    Parameter(
        "limit",
        "The most objects an answer has; where more are left, its metadata has a token for `continue`. 0 is no limit.",
        "integer",
    ),
    Parameter(
        "resourceVersion",
        "How old the answer may be: unset for the latest state, 0 for any state, a revision for one at least so new. A "
        "watch begins after it.",
    ),
    Parameter(
        "resourceVersionMatch",
        "How `resourceVersion` is meant: Exact for the state at that revision, NotOlderThan for it or a later one.",
        values=("Exact", "NotOlderThan"),
    ),
    Parameter(
        "sendInitialEvents",
        "Whether a watch begins with an ADDED event for each object there is, ended by a bookmark. Needs "
        "resourceVersionMatch=NotOlderThan.",
        "boolean",
    ),
    Parameter(
        "timeoutSeconds",
        "Seconds after which the server ends a watch, whether or not anything happened. Default: 30 to 60 minutes.",
        "integer",
    ),
    Parameter("watch", "Whether to stay and be told of every change, one event a line, in place of a list.", "boolean"),
    Parameter(
        "dryRun",
        "All: the request is checked and answered as always, but nothing is stored.",
        values=("All",),
    ),
    Parameter(
        "fieldManager",
        "The name under which managedFields remembers the fields of this write; at most 128 characters. Required for "
        "an apply patch.",
    ),
    Parameter(
        "fieldValidation",
        "What becomes of unknown and duplicate fields in the body: Ignore drops them, Warn (the default) drops them "
        "with a Warning header for each, Strict refuses the request.",
        values=FIELD_VALIDATIONS,
    ),
    Parameter(
        "force",
        "Whether an apply patch takes fields that another manager owns, where it would be a conflict otherwise.",
        "boolean",
    ),
    Parameter(
        "gracePeriodSeconds",
        "Seconds that the object has to end by itself; 0 deletes at once. Default: what the kind says.",
        "integer",
    ),
    Parameter("orphanDependents", "Replaced by propagationPolicy: true is the same as Orphan.", "boolean"),
    Parameter(
        "propagationPolicy",
        "What becomes of the objects that this one owns: Background deletes them afterwards, Foreground before it, "
        "Orphan leaves them.",
        values=PROPAGATION_POLICIES,
    ),
    Parameter("pretty", "Whether the JSON is indented for people. Default: only for browsers, curl and wget."),
    Parameter("container", "The container's name. Default: the pod's default or only one."),
    Parameter("follow", "Whether to stay and send what the container writes from now on.", "boolean"),
    Parameter("limitBytes", "The most bytes of the log to send; a line may be cut.", "integer"),
    Parameter("previous", "Whether to send the log of the container's run before this one.", "boolean"),
    Parameter("sinceSeconds", "Only lines at most so many seconds old.", "integer"),
    Parameter("sinceTime", "Only lines written at or after this time, in RFC 3339."),
    Parameter("tailLines", "Only the last lines, so many of them.", "integer"),
    Parameter("timestamps", "Whether each line begins with the time it was written.", "boolean"),
    Parameter("command", "The program to run and its arguments, each of them once; no shell is involved.", "array"),
    Parameter("stdin", "Whether the client's input goes to the process.", "boolean"),
    Parameter("stdout", "Whether the output of the process goes to the client.", "boolean"),
    Parameter("stderr", "Whether the error output of the process goes to the client.", "boolean"),
    Parameter("tty", "Whether the process gets a terminal, which joins output and error output.", "boolean"),
    Parameter("ports", "The ports of the pod to forward.", "array"),
    Parameter("path", "The path to ask of what stands behind the proxy."),
)

PARAMETERS = {parameter.name: parameter for parameter in _ALL}
PROXIED_PATH = Parameter("path", "What to ask of what stands behind the proxy, and below.", place="path")

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
