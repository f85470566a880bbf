"""Updates, deletions and patches."""

from __future__ import annotations

from tests.malformed._row import (
    ACCEPTED_BODIES,
    CM,
    DELETE_OPTIONS,
    JSON,
    JSON_PATCH,
    LABEL_RULE,
    MERGE,
    NOT_ACCEPTED,
    PODS,
    STRATEGIC,
    TOO_LARGE,
    UNRECOGNIZED,
    Row,
    config_map,
    delete,
    other,
    patch,
    post,
    put,
)

KEPT = {"metadata": {"name": "kept"}}
CONFLICT = 'Operation cannot be fulfilled on configmaps "kept": '
UNMET = 'Operation cannot be fulfilled on ConfigMap "kept": '
UNREADABLE, UNREADABLE_CAUSE = ' "" is invalid: patch: Invalid value: …', ("FieldValueInvalid", "patch")
ELSEWHERE = {"metadata": {"name": "kept", "namespace": "other"}}
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"

WRITES = [
    put("PUT of nothing", "", UNRECOGNIZED),
    put(
        "PUT without name",
        {"metadata": {}},
        "the name of the object (kept based on URL) was undeterminable: name must be provided",
    ),
    put(
        "PUT of another name",
        {"metadata": {"name": "b"}},
        "the name of the object (b) does not match the name on the URL (kept)",
    ),
    put(
        "PUT of another namespace",
        ELSEWHERE,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    put(
        "PUT of another uid",
        {"metadata": {"name": "kept", "uid": "x"}},
        CONFLICT + "StorageError: invalid object, Code: 4, Key: /registry/configmaps/bad/kept, ResourceVersion: 0, "
        "AdditionalErrorMsg: Precondition failed: UID in precondition: x, UID in object meta: …",
        409,
    ),
    put("PUT of an old version", {"metadata": {"name": "kept", "resourceVersion": "1"}}, CONFLICT + MODIFIED, 409),
    put(
        "PUT of a bad version",
        {"metadata": {"name": "kept", "resourceVersion": "x"}},
        'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ),
    put("PUT that creates", {"metadata": {"name": "none"}}, 'configmaps "none" not found', 404, path=f"{CM}/none"),
    put(
        "PUT with a dry run of some",
        KEPT,
        'UpdateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: …',
        422,
        ("FieldValueNotSupported", "dryRun"),
        path=f"{CM}/kept?dryRun=Some",
    ),
    post(
        "unknown field validation",
        config_map(),
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Maybe": supported values: …',
        422,
        ("FieldValueNotSupported", "fieldValidation"),
        path=f"{CM}?fieldValidation=Maybe",
    ),
    post(
        "long field manager",
        config_map(),
        'CreateOptions.meta.k8s.io "" is invalid: fieldManager: …',
        422,
        ("FieldValueTooLong", "fieldManager"),
        path=f"{CM}?fieldManager={'a' * 129}",
    ),
    post(
        "field manager with a bell",
        config_map(),
        'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Invalid value: …',
        422,
        ("FieldValueInvalid", "fieldManager"),
        path=f"{CM}?fieldManager=a%07",
    ),
    delete("DELETE with half a body", "{", "…"),
    delete("DELETE with a list", "[]", "…"),
    delete("DELETE with a Pod", {"kind": "Pod"}, "…"),
    delete("DELETE with text for seconds", {"gracePeriodSeconds": "1"}, "…"),
    delete("DELETE with 65 bits of seconds", {"gracePeriodSeconds": 2**64}, "…"),
    Row("DELETE in plain text", 415, ACCEPTED_BODIES, "DELETE", f"{CM}/kept", b"x", {"content-type": "text/plain"}),
    delete(
        "unknown propagation",
        {"propagationPolicy": "Wide"},
        DELETE_OPTIONS + "propagationPolicy: Unsupported value: "
        '"Wide": supported values: "Foreground", "Background", "Orphan", "nil"',
        422,
        ("FieldValueNotSupported", "propagationPolicy"),
    ),
    delete(
        "propagation said twice",
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        DELETE_OPTIONS
        + 'propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
        422,
        ("FieldValueInvalid", "propagationPolicy"),
    ),
    delete(
        "DELETE with a dry run of some",
        {"dryRun": ["Some"]},
        DELETE_OPTIONS + "dryRun: Unsupported value: …",
        422,
        ("FieldValueNotSupported", "dryRun"),
    ),
    delete(
        "DELETE of another uid",
        {"preconditions": {"uid": "x"}},
        UNMET + "the UID in the precondition (x) does not match the UID in record (…",
        409,
    ),
    delete(
        "DELETE of an old version",
        {"preconditions": {"resourceVersion": "1"}},
        UNMET + "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (…",
        409,
    ),
    delete("DELETE within text", "", 'strconv.ParseInt: parsing "x": invalid syntax', query="?gracePeriodSeconds=x"),
    other(
        "DELETE of a collection by a bad selector",
        "DELETE",
        f"{CM}?labelSelector=a%3Db%3Dc",
        "found '=', expected: ',' or 'end of string'",
        400,
    ),
    other(
        "DELETE of a collection by a field it lacks",
        "DELETE",
        f"{CM}?fieldSelector=a%3Db",
        '"a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        400,
    ),
    other("DELETE of a collection with a bad body", "DELETE", CM, "…", 400, b"{"),
    other(
        "DELETE of a collection of another uid",
        "DELETE",
        CM,
        UNMET + "the UID in the precondition (x) …",
        409,
        b'{"preconditions":{"uid":"x"}}',
    ),
]

UNACCEPTED = [
    other(
        f"{method} that wants HTML", method, path, NOT_ACCEPTED, 406, body, accept="text/html", **{"content-type": kind}
    )
    for method, path, body, kind in (
        ("POST", CM, b'{"metadata":{"name":"c"}}', JSON),
        ("PUT", f"{CM}/kept", b'{"metadata":{"name":"kept"}}', JSON),
        ("PATCH", f"{CM}/kept", b'{"data":{"b":"1"}}', MERGE),
        ("DELETE", f"{CM}/kept", b"", JSON),
        ("DELETE", f"{CM}?labelSelector=a", b"", JSON),
    )
]

PATCHES = [
    patch("patch as JSON", "{}", "415: Unsupported Media Type", 415, kind=JSON),
    patch("patch of nothing", "", "error decoding patch: …"),
    patch("half a patch", "{", "error decoding patch: …"),
    patch("merge patch of a list", "[]", "error decoding patch: …"),
    patch("strategic patch of text", '"x"', "error decoding patch: …", kind=STRATEGIC),
    patch("JSON patch of an object", "{}", "error decoding patch: …", kind=JSON_PATCH),
    patch("JSON patch of text", '["x"]', "…", kind=JSON_PATCH),
    *[
        patch(
            f"JSON patch that {name}",
            [operation],
            "the server rejected our request due to an error in our request",
            422,
            kind=JSON_PATCH,
        )
        for name, operation in {
            "has no path": {"op": "add", "value": 1},
            "has an unknown operation": {"op": "jump", "path": "/data"},
            "removes what is not there": {"op": "remove", "path": "/data/none"},
            "replaces what is not there": {"op": "replace", "path": "/none/a", "value": 1},
            "fails its test": {"op": "test", "path": "/data/a", "value": "2"},
            "moves into its own child": {"op": "move", "from": "/data", "path": "/data/b"},
            "moves from nowhere": {"op": "move", "path": "/data/b"},
            "has a pointer without slash": {"op": "add", "path": "data", "value": 1},
            "indexes a map": {"op": "add", "path": "/data/a/0", "value": 1},
            "counts from the end": {"op": "add", "path": "/metadata/finalizers/-2", "value": "a/b"},
        }.items()
    ],
    *[
        patch(f"JSON patch {name}", [operation], UNREADABLE, 422, UNREADABLE_CAUSE, kind=JSON_PATCH)
        for name, operation in {
            "that replaces all": {"op": "replace", "path": "", "value": []},
            "to another type": {"op": "replace", "path": "/data", "value": []},
        }.items()
    ],
    patch("strategic patch to another type", {"data": []}, UNREADABLE, 422, UNREADABLE_CAUSE, kind=STRATEGIC),
    patch(
        "JSON patch that removes all",
        [{"op": "remove", "path": ""}],
        "the name of the object (kept based on URL) was undeterminable: name must be provided",
        kind=JSON_PATCH,
    ),
    patch("strategic patch with an unknown directive", {"data": {"$patch": "nonsense"}}, "…", kind=STRATEGIC),
    *[
        patch(
            f"strategic patch with a number for {name}",
            {"data": {name + path: 5}},
            f"invalid patch format of {name}: it must be a list",
            kind=STRATEGIC,
        )
        for name, path in (("$retainKeys", ""), ("$setElementOrder", "/a"), ("$deleteFromPrimitiveList", "/a"))
    ],
    patch(
        "strategic patch of 30,000 containers without a name",
        {"spec": {"containers": [{"a": "b"}] * 30_000}},
        "map: (a) does not contain declared merge key: name",
        kind=STRATEGIC,
        path=f"{PODS}/kept",
    ),
    *[
        patch(f"{kind} of 1,000 levels", b'{"data":' + b'{"a":' * 1000 + b"1" + b"}" * 1001, "…", kind=kind)
        for kind in (MERGE, STRATEGIC)
    ],
    patch(
        "JSON patch of 1,000 levels",
        b'[{"op":"add","path":"/data","value":' + b'{"a":' * 1000 + b"1" + b"}" * 1001 + b"]",
        "the request's body is nested too deeply",
        kind=JSON_PATCH,
    ),
    patch("patch to another kind", {"kind": "Pod"}, UNREADABLE, 422, UNREADABLE_CAUSE),
    patch("patch to another version", {"apiVersion": "v2"}, UNREADABLE, 422, UNREADABLE_CAUSE),
    patch(
        "patch to another name",
        {"metadata": {"name": "b"}},
        "the name of the object (b) does not match the name on the URL (kept)",
    ),
    patch(
        "patch to another namespace",
        {"metadata": {"namespace": "b"}},
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    patch("patch without metadata", {"metadata": None}, "…"),
    patch(
        "JSON patch of 10,001 operations",
        [{"op": "test", "path": "/x", "value": 1}] * 10_001,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
        413,
        kind=JSON_PATCH,
    ),
    patch("merge patch of 100,000 levels", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "error decoding patch: …"),
    patch("patch with NaN", '{"data":{"a":NaN}}', "error decoding patch: …"),
    patch("patch over 3 MiB", b" " * (3 * 1024 * 1024 + 1), TOO_LARGE, 413),
    patch("patch of a missing object", "{}", 'configmaps "none" not found', 404, path=f"{CM}/none"),
    patch("patch of an old version", {"metadata": {"resourceVersion": "1"}}, CONFLICT + MODIFIED, 409),
    patch(
        "patch of another uid",
        {"metadata": {"uid": "x"}},
        'ConfigMap "kept" is invalid: metadata.uid: Invalid value: "x": field is immutable',
        422,
        ("FieldValueInvalid", "metadata.uid"),
        ("FieldValueInvalid", "metadata.uid"),
    ),
    patch(
        "patch with a bad label",
        {"metadata": {"labels": {"a": "b c"}}},
        f'ConfigMap "kept" is invalid: metadata.labels: Invalid value: "b c": {LABEL_RULE}',
        422,
        ("FieldValueInvalid", "metadata.labels"),
    ),
    patch(
        "apply without a manager",
        "{}",
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        422,
        ("FieldValueRequired", "fieldManager"),
        kind="application/apply-patch+yaml",
    ),
    patch(
        "force of another patch",
        "{}",
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
        422,
        ("FieldValueForbidden", "force"),
        path=f"{CM}/kept?force=true",
    ),
]
