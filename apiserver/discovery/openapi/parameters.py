"""The parameters of paths and queries: names, types and descriptions."""

from __future__ import annotations

from apiserver.request.query import FIELD_VALIDATIONS, PROPAGATION_POLICIES
from apiserver.subresources._subresource import Parameter

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


def parameter_of(item: str | Parameter) -> Parameter:
    """A parameter of all resources by its name; one of a subresource is given as it is."""
    return item if isinstance(item, Parameter) else PARAMETERS[item]
