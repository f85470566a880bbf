"""Paths, and what may be asked of a read."""

from __future__ import annotations

from tests.malformed._row import (
    CM,
    LABEL_RULE,
    LIST_OPTIONS,
    NAMESPACE,
    NOT_ACCEPTED,
    NOT_ALLOWED,
    NOT_SERVED,
    PODS,
    PROTOBUF,
    YAML,
    get,
    other,
    token,
)

MATCH = ("FieldValueForbidden", "resourceVersionMatch")
SELECTOR = "unable to parse requirement: "

READS = [
    get("limit is text", "?limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
    get("limit is empty", "?limit=", 'strconv.ParseInt: parsing "": invalid syntax'),
    get("limit of 65 bits", "?limit=" + "9" * 20, f'strconv.ParseInt: parsing "{"9" * 20}": value out of range'),
    get("limit is a fraction", "?limit=1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'),
    get("limit in other digits", "?limit=%D9%A3", 'strconv.ParseInt: parsing "٣": invalid syntax'),
    get("timeoutSeconds is text", "?watch=1&timeoutSeconds=1s", 'strconv.ParseInt: parsing "1s": invalid syntax'),
    get(
        "resourceVersion is text",
        "?resourceVersion=x",
        'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ),
    get(
        "negative resourceVersion",
        "?resourceVersion=-1",
        "invalid resource version: resourceVersion: Invalid value: "
        '"-1": strconv.ParseUint: parsing "-1": invalid syntax',
    ),
    get(
        "resourceVersion of 65 bits",
        "?resourceVersion=18446744073709551616",
        "invalid resource version: "
        'resourceVersion: Invalid value: "18446744073709551616": strconv.ParseUint: parsing "18446744073709551616": '
        "value out of range",
    ),
    get(
        "resourceVersion of a watch is text",
        "?watch=1&resourceVersion=x",
        'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ),
    get(
        "resourceVersion of a get is text",
        f"{CM}/kept?resourceVersion=x",
        'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ),
    get(
        "match without resourceVersion",
        "?resourceVersionMatch=Exact",
        LIST_OPTIONS + "resourceVersionMatch: Forbidden: "
        "resourceVersionMatch is forbidden unless resourceVersion is provided",
        422,
        MATCH,
    ),
    get(
        "unknown match",
        "?resourceVersionMatch=Near&resourceVersion=1",
        LIST_OPTIONS + 'resourceVersionMatch: Unsupported value: "Near": supported values: "Exact", "NotOlderThan", ""',
        422,
        ("FieldValueNotSupported", "resourceVersionMatch"),
    ),
    get(
        "exactly any version",
        "?resourceVersionMatch=Exact&resourceVersion=0",
        LIST_OPTIONS + "resourceVersionMatch: "
        'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        422,
        MATCH,
    ),
    get(
        "match with continue",
        f"?resourceVersionMatch=Exact&resourceVersion=1&continue={token()}",
        LIST_OPTIONS + "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        422,
        MATCH,
    ),
    get(
        "match of a watch",
        "?watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1",
        LIST_OPTIONS
        + "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
        "provided",
        422,
        MATCH,
    ),
    get(
        "initial events of a list",
        "?sendInitialEvents=true",
        LIST_OPTIONS + "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        422,
        ("FieldValueForbidden", "sendInitialEvents"),
    ),
    get(
        "initial events without match",
        "?watch=1&sendInitialEvents=true",
        LIST_OPTIONS + "resourceVersionMatch: "
        "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        422,
        MATCH,
    ),
    get(
        "initial events of an exact version",
        "?watch=1&sendInitialEvents=true&resourceVersionMatch=Exact",
        LIST_OPTIONS + "[resourceVersionMatch: Forbidden: sendInitialEvents requires …",
        422,
        MATCH,
        ("FieldValueNotSupported", "resourceVersionMatch"),
    ),
    get("continue is no base64", "?continue=!", "invalid continue token: continue key is not valid: …"),
    get("continue is no JSON", "?continue=e30x", "invalid continue token: continue key is not valid: …"),
    get("continue holds a list", "?continue=W10", "invalid continue token: continue key is not valid: …"),
    get(
        "continue of another version",
        f"?continue={token(v='v2')}",
        "invalid continue token: continue key is not valid: server does not recognize this encoded version v2",
    ),
    get(
        "continue of no revision",
        f"?continue={token(rv=0)}",
        "invalid continue token: continue key is not valid: "
        "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
    ),
    get(
        "continue from nowhere",
        f"?continue={token(start='')}",
        "invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)",
    ),
    get(
        "continue that climbs out",
        f"?continue={token(start='../secrets/bad/s')}",
        "invalid continue token: continue key is not valid: ../secrets/bad/s",
    ),
    get(
        "continue with resourceVersion",
        f"?resourceVersion=1&continue={token()}",
        "specifying resource version is not allowed when using continue",
    ),
    get("label selector of two values", "?labelSelector=a%3Db%3Dc", "found '=', expected: ',' or 'end of string'"),
    get(
        "label selector without operator",
        "?labelSelector=a+b",
        SELECTOR + "found 'b', expected: in, notin, =, ==, !=, gt, lt",
    ),
    get("label selector with open set", "?labelSelector=a+in+(b", SELECTOR + "found '', expected: ',' or ')'"),
    get("label selector of words", "?labelSelector=a+in+b", SELECTOR + "found 'b' expected: '('"),
    get(
        "label selector of a bad key",
        "?labelSelector=-a%3Db",
        SELECTOR + '<nil>: Invalid value: "-a": name part must …',
    ),
    get(
        "label selector of a bad value",
        "?labelSelector=a%3D_b",
        SELECTOR + 'values[0][a]: Invalid value: "_b": ' + LABEL_RULE,
    ),
    get(
        "label selector more than text",
        "?labelSelector=a%3Eb",
        SELECTOR + "values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
    ),
    get(
        "label selector of 20,000 parentheses",
        "?labelSelector=" + "(" * 20_000,
        "found '(', expected: !, identifier, or 'end of string'",
    ),
    get(
        "label selector of a watch",
        "?watch=1&labelSelector=,",
        "found ',', expected: !, identifier, or 'end of string'",
    ),
    get("label selector that is no UTF-8", "?labelSelector=%FF", "the query string is not valid UTF-8"),
    get("field selector without operator", "?fieldSelector=x", "invalid selector: 'x'; can't understand 'x'"),
    get(
        "field selector of two values",
        "?fieldSelector=metadata.name%3Da%3Db",
        "invalid field selector: unescaped character in value: 61",
    ),
    get(
        "field selector with bad escape",
        "?fieldSelector=metadata.name%3D%5Ca",
        "invalid field selector: invalid escape sequence: \\a",
    ),
    get(
        "field that ConfigMaps lack",
        "?fieldSelector=data.a%3D1",
        '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ),
    get("field that Pods lack", f"{PODS}?fieldSelector=spec.x%3D1", "field label not supported: spec.x"),
    get(
        "field that Nodes lack",
        "/api/v1/nodes?fieldSelector=metadata.namespace%3Da",
        "field label not supported: metadata.namespace",
    ),
    get(
        "old watch of another name",
        CM.replace("/v1/", "/v1/watch/") + "/kept?fieldSelector=metadata.name%3Da",
        "fieldSelector metadata.name doesn't match requested name",
    ),
    get(
        "field that a watch lacks",
        "?watch=1&fieldSelector=data.a%3D1",
        '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ),
    get("protobuf answer", f"{CM}/kept", NOT_ACCEPTED, 406, accept=PROTOBUF),
    get("HTML answer", f"{CM}/kept", NOT_ACCEPTED, 406, accept="text/html"),
    get("Table of an unknown group", "", NOT_ACCEPTED, 406, accept="application/json;as=Table;g=x;v=v1"),
    get("Table of an unknown version", "", NOT_ACCEPTED, 406, accept="application/json;as=Table;g=meta.k8s.io;v=v2"),
    get(
        "object as a list",
        f"{CM}/kept",
        "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
        406,
        accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    ),
    get(
        "list as an object",
        "",
        "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
        406,
        accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ),
    get(
        "watch in YAML",
        "?watch=1",
        "only the following media types are accepted: application/json;stream=watch",
        406,
        accept=YAML,
    ),
    get(
        "unknown includeObject",
        "?includeObject=All",
        "Unable to convert to Table as requested: includeObject: Invalid "
        "value: \"All\": must be 'Metadata', 'Object', 'None', or empty",
        accept="application/json;as=Table;g=meta.k8s.io;v=v1",
    ),
    get("log of no number of lines", f"{PODS}/kept/log?tailLines=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
]


PATHS = [
    get("unknown resource", f"/api/v1/namespaces/{NAMESPACE}/nothings", NOT_SERVED, 404),
    get("unknown group", "/apis/none/v1/things", NOT_SERVED, 404),
    get("unknown version", "/apis/apps/v9/deployments", NOT_SERVED, 404),
    get("unknown subresource", f"{CM}/kept/status", NOT_SERVED, 404),
    get("path below an object", f"{CM}/kept/a/b", NOT_SERVED, 404),
    get("cluster's resource in a namespace", f"/api/v1/namespaces/{NAMESPACE}/nodes", NOT_SERVED, 404),
    get("namespace's object without it", "/api/v1/configmaps/kept", NOT_SERVED, 404),
    get("double slash", "/api/v1//configmaps", NOT_SERVED, 404),
    get("double slash at the start", f"/{CM}", NOT_SERVED, 404),
    get("empty namespace", "/api/v1/namespaces//configmaps", NOT_SERVED, 404),
    get("dots for a name", f"{CM}/%2e%2e", "Name parameter invalid: \"..\": may not be '..'"),
    get("dot for a name", f"{CM}/%2e", "Name parameter invalid: \".\": may not be '.'"),
    get("percent in a name", f"{CM}/%25", "Name parameter invalid: \"%\": may not contain '%'"),
    get("slash in a name", f"{CM}/..%2fkept", NOT_SERVED, 404),
    get("NUL in a name", f"{CM}/a%00", 'configmaps "a\0" not found', 404),
    get("newline in a name", f"{CM}/a%0a", 'configmaps "a\n" not found', 404),
    get("name that is no UTF-8", f"{CM}/%ff", 'configmaps "\ufffd" not found', 404),
    get("name of 8,000 letters", f"{CM}/{'a' * 8000}", f'configmaps "{"a" * 8000}" not found', 404),
    get("name in upper case", f"{CM}/KEPT", 'configmaps "KEPT" not found', 404),
    other("POST to an object", "POST", f"{CM}/kept", NOT_ALLOWED, 405),
    other("POST over all namespaces", "POST", "/api/v1/configmaps", NOT_ALLOWED, 405),
    other("PUT on a collection", "PUT", CM, NOT_ALLOWED, 405),
    other("PATCH on a collection", "PATCH", CM, NOT_ALLOWED, 405),
    other("DELETE over all namespaces", "DELETE", "/api/v1/configmaps", NOT_ALLOWED, 405),
    other("DELETE of a status", "DELETE", f"{PODS}/kept/status", NOT_ALLOWED, 405),
    other("OPTIONS", "OPTIONS", CM, NOT_ALLOWED, 405),
    other("TRACE", "TRACE", CM, NOT_ALLOWED, 405),
    other("PROPFIND", "PROPFIND", CM, NOT_ALLOWED, 405),
    other("POST to the version", "POST", "/version", NOT_ALLOWED, 405),
    other("bad token", "GET", CM, "Unauthorized", 401, authorization="Bearer wrong"),
    other("token without scheme", "GET", CM, "Unauthorized", 401, authorization="test-token"),
    other("password", "GET", CM, "Unauthorized", 401, authorization="Basic YTpi"),
    other("empty authorization", "GET", CM, "Unauthorized", 401, authorization=""),
    other("token of 8,000 letters", "GET", CM, "Unauthorized", 401, authorization="Bearer " + "a" * 8000),
]
