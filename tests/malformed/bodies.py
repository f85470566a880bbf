"""Bodies that are no object, or no good one."""

from __future__ import annotations

from tests.malformed._row import (
    ACCEPTED_BODIES,
    AS_CONFIG_MAP,
    CM,
    INVALID,
    LABEL_RULE,
    MERGE,
    NO_PROTOBUF,
    NO_YAML,
    PODS,
    PROTOBUF,
    TOO_LARGE,
    UNRECOGNIZED,
    YAML,
    Row,
    config_map,
    post,
    with_container,
    with_meta,
)

SERVICES = CM.replace("configmaps", "services")

BODIES = [
    post("empty body", "", UNRECOGNIZED),
    post("blank body", " \n ", UNRECOGNIZED),
    post("truncated object", '{"metadata":{"name":"c"', UNRECOGNIZED),
    post("not JSON", "hello", UNRECOGNIZED),
    post("array", "[]", UNRECOGNIZED),
    post("array of objects", [config_map()], UNRECOGNIZED),
    post("string", '"x"', UNRECOGNIZED),
    post("number", "12", UNRECOGNIZED),
    post("true", "true", UNRECOGNIZED),
    post("null", "null", UNRECOGNIZED),
    post("two documents", '{"metadata":{"name":"c"}}{}', UNRECOGNIZED),
    post("trailing comma", '{"metadata":{"name":"c"},}', UNRECOGNIZED),
    post("single quotes", "{'metadata':{'name':'c'}}", UNRECOGNIZED),
    post("comment", '{"metadata":{"name":"c"}} // c', UNRECOGNIZED),
    post("NaN", '{"metadata":{"name":"c","generation":NaN}}', UNRECOGNIZED),
    post("Infinity", '{"metadata":{"name":"c","generation":Infinity}}', UNRECOGNIZED),
    post("invalid UTF-8", b'{"metadata":{"name":"c"},"data":{"a":"\xff"}}', UNRECOGNIZED),
    post("overlong UTF-8", b'{"metadata":{"name":"c"},"data":{"a":"\xc0\x80"}}', UNRECOGNIZED),
    post("UTF-16", '{"metadata":{"name":"c"}}'.encode("utf-16"), UNRECOGNIZED),
    post("byte order mark", b"\xef\xbb\xbf{}", UNRECOGNIZED),
    post("lone surrogate", b'{"metadata":{"name":"c"},"data":{"a":"\\ud800"}}', UNRECOGNIZED),
    post("raw control character", b'{"metadata":{"name":"c"},"data":{"a":"\x01"}}', UNRECOGNIZED),
    post("100,000 open arrays", b"[" * 100_000, UNRECOGNIZED),
    post("100,000 nested arrays", b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", UNRECOGNIZED),
    post("100,000 nested objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, UNRECOGNIZED),
    post("gzip", bytes.fromhex("1f8b0800000000000003abae05000043bfa6a302000000"), UNRECOGNIZED),
    post("other kind", config_map(kind="Secret"), 'Secret in version "v1" cannot be handled as a ConfigMap: …'),
    post("kind of another type", config_map(kind=5), UNRECOGNIZED),
    post(
        "other version",
        config_map(kind="ConfigMap", apiVersion="v2"),
        "the API version in the data (v2) does not match the expected API version (v1)",
    ),
    post(
        "other group",
        config_map(kind="ConfigMap", apiVersion="apps/v1"),
        "the API version in the data (apps/v1) does not match the expected API version (v1)",
    ),
    post("data is a list", config_map(kind="ConfigMap", data=[]), AS_CONFIG_MAP),
    post("data is text", config_map(kind="ConfigMap", data="a"), AS_CONFIG_MAP),
    post("number for text", config_map(kind="ConfigMap", data={"a": 1}), AS_CONFIG_MAP),
    post("object for text", config_map(kind="ConfigMap", data={"a": {}}), AS_CONFIG_MAP),
    post("metadata is a list", {"kind": "ConfigMap", "metadata": []}, AS_CONFIG_MAP),
    post("labels are a list", {"kind": "ConfigMap", "metadata": {"labels": []}}, AS_CONFIG_MAP),
    post(
        "huge integer",
        with_container(ports=[{"containerPort": 10**30}]) | {"kind": "Pod"},
        'Pod in version "v1" cannot be handled as a Pod: …',
        path=PODS,
    ),
    post("fraction for an integer", {"kind": "ConfigMap", "metadata": {"name": "c", "generation": 1.5}}, AS_CONFIG_MAP),
    post("text for a flag", {"kind": "ConfigMap", "metadata": {"name": "c"}, "immutable": "true"}, AS_CONFIG_MAP),
    post(
        "text for a port",
        with_container(ports=[{"containerPort": "80"}]) | {"kind": "Pod"},
        'Pod in version "v1" cannot be handled as a Pod: …',
        path=PODS,
    ),
    post(
        "integer of 41 bits",
        with_container(ports=[{"containerPort": 2**40}]) | {"kind": "Pod"},
        'Pod in version "v1" cannot be handled as a Pod: …',
        path=PODS,
    ),
    post(
        "bad quantity",
        with_container(resources={"limits": {"cpu": "1x"}}) | {"kind": "Pod"},
        'Pod in version "v1" cannot be handled as a Pod: …',
        path=PODS,
    ),
    post(
        "quantity of 100,000 digits",
        with_container(resources={"limits": {"cpu": "9" * 100_000}}) | {"kind": "Pod"},
        'Pod in version "v1" cannot be handled as a Pod: …',
        path=PODS,
    ),
    *[
        post(
            f"time {time}",
            {"kind": "ConfigMap", "metadata": {"name": "c", "creationTimestamp": time}},
            f'{AS_CONFIG_MAP[:-1]}it is not an RFC 3339 time in field "metadata.creationTimestamp"',
        )
        for time in (
            "noon",
            "2026-13-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "\u0662026-01-01T00:00:00Z",
        )
    ],
    post("over 3 MiB", b" " * (3 * 1024 * 1024 + 1), TOO_LARGE, 413),
    post(
        "duplicate keys, strict",
        '{"kind":"ConfigMap","metadata":{"name":"c","name":"d"}}',
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'duplicate field "metadata.name"',
        path=f"{CM}?fieldValidation=Strict",
    ),
    post(
        "unknown field, strict",
        {"kind": "ConfigMap", "metadata": {"name": "c"}, "spec": {}},
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "spec"',
        path=f"{CM}?fieldValidation=Strict",
    ),
]

BOMB = "\n".join(
    ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
)
MERGE_BOMB = "\n".join(
    ["l0: &l0 {a: 1}"] + [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}" for n in range(1, 9)]
)

OTHER_FORMATS = [
    post("YAML that ends early", "metadata: {name: c", NO_YAML, kind=YAML),
    post("YAML tabs", "metadata:\n\tname: c", NO_YAML, kind=YAML),
    post(
        "YAML key twice, strict",
        "kind: ConfigMap\nmetadata: {name: c, name: d}",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: …',
        kind=YAML,
        path=f"{CM}?fieldValidation=Strict",
    ),
    post("YAML of two documents", "a: 1\n---\nb: 2\n", NO_YAML, kind=YAML),
    post("YAML that holds itself", "a: &a [*a]\n", NO_YAML, kind=YAML),
    post("YAML unknown alias", "a: *b\n", NO_YAML, kind=YAML),
    post("YAML alias bomb", BOMB, NO_YAML, kind=YAML),
    post("YAML merge bomb", MERGE_BOMB, NO_YAML, kind=YAML),
    post("YAML tag of Python", "!!python/object/apply:os.system [id]", NO_YAML, kind=YAML),
    post("YAML huge tag", "!<" + "t" * 100_000 + "> x", NO_YAML, kind=YAML),
    post("YAML 50,000 levels", "[" * 50_000, NO_YAML, kind=YAML),
    post("YAML 2,000 closed levels", "[" * 2_000 + "]" * 2_000, NO_YAML, kind=YAML),
    post("YAML key that is a list", "? [a]\n: b\n", NO_YAML, kind=YAML),
    post("YAML NUL", b"a: \x00", NO_YAML, kind=YAML),
    post("YAML invalid UTF-8", b"a: \xff", NO_YAML, kind=YAML),
    post("YAML scalar", "hello", UNRECOGNIZED, kind=YAML),
    post("YAML list", "- a", UNRECOGNIZED, kind=YAML),
    post("YAML infinity", "metadata: {name: c, generation: .inf}", NO_YAML, kind=YAML),
    post("YAML number of 10,000 digits", "metadata: {name: c, generation: " + "9" * 10_000 + "}", NO_YAML, kind=YAML),
    post("protobuf without its magic", "x", NO_PROTOBUF, kind=PROTOBUF),
    post("protobuf that ends early", b"k8s\x00\x0a", NO_PROTOBUF, kind=PROTOBUF),
    post("protobuf with endless number", b"k8s\x00" + b"\xff" * 20, NO_PROTOBUF, kind=PROTOBUF),
    post("JSON as protobuf", "{}", NO_PROTOBUF, kind=PROTOBUF),
    post("text", "x", ACCEPTED_BODIES, 415, kind="text/plain"),
    post("form", "a=b", ACCEPTED_BODIES, 415, kind="application/x-www-form-urlencoded"),
    post("CBOR", b"\xa0", ACCEPTED_BODIES, 415, kind="application/cbor"),
    post("no media type", "{}", ACCEPTED_BODIES, 415, kind="x"),
    post("patch as object", "{}", ACCEPTED_BODIES, 415, kind=MERGE),
    post("media type with junk", "{}", ACCEPTED_BODIES, 415, kind="application/json junk"),
]


LONG, NAME = "a" * 254, "metadata.name"

METADATA = [
    post(
        "no name",
        {"metadata": {}},
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
        422,
        ("FieldValueRequired", NAME),
    ),
    post(
        "upper case name",
        {"metadata": {"name": "Bad"}},
        'ConfigMap "Bad" is invalid: metadata.name: Invalid value: '
        '"Bad": a lowercase RFC 1123 subdomain must consist of …',
        422,
        ("FieldValueInvalid", NAME),
    ),
    post(
        "name of 254 bytes",
        {"metadata": {"name": LONG}},
        f'ConfigMap "{LONG}" is invalid: metadata.name: Invalid value: "{LONG}": must be no more than 253 bytes',
        422,
        ("FieldValueInvalid", NAME),
    ),
    post(
        "slash in name",
        {"metadata": {"name": "a/b"}},
        'ConfigMap "a/b" is invalid: metadata.name: Invalid value: "a/b": may not contain \'/\'',
        422,
        ("FieldValueInvalid", NAME),
    ),
    post(
        "name of dots",
        {"metadata": {"name": ".."}},
        'ConfigMap ".." is invalid: metadata.name: Invalid value: "..": may not be \'..\'',
        422,
        ("FieldValueInvalid", NAME),
    ),
    post(
        "NUL in name",
        {"metadata": {"name": "a\0"}},
        'ConfigMap "a\0" is invalid: metadata.name: Invalid value: …',
        422,
        ("FieldValueInvalid", NAME),
    ),
    post(
        "letters that are no ASCII in name",
        {"metadata": {"name": "é"}},
        'ConfigMap "é" is invalid: metadata.name: …',
        422,
        ("FieldValueInvalid", NAME),
    ),
    post(
        "newline after name",
        {"metadata": {"name": "c\n"}},
        'ConfigMap "c\n" is invalid: metadata.name: …',
        422,
        ("FieldValueInvalid", NAME),
    ),
    post(
        "bad generateName",
        {"metadata": {"generateName": "A_"}},
        'ConfigMap "A_…',
        422,
        ("FieldValueInvalid", "metadata.generateName"),
        ("FieldValueInvalid", NAME),
    ),
    post(
        "other namespace",
        with_meta(namespace="other"),
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    post(
        "resourceVersion on a new object",
        with_meta(resourceVersion="5"),
        "resourceVersion should not be set on objects to be created",
    ),
    post(
        "bad label key",
        with_meta(labels={"-x": "1"}),
        INVALID + 'metadata.labels: Invalid value: "-x": name part must consist of …',
        422,
        ("FieldValueInvalid", "metadata.labels"),
    ),
    post(
        "label key of three parts",
        with_meta(labels={"a/b/c": "1"}),
        INVALID + 'metadata.labels: Invalid value: "a/b/c": a qualified name must consist of …',
        422,
        ("FieldValueInvalid", "metadata.labels"),
    ),
    post(
        "empty label key",
        with_meta(labels={"": "1"}),
        INVALID + '[metadata.labels: Invalid value: "": name part must be non-empty, …',
        422,
        *[("FieldValueInvalid", "metadata.labels")] * 2,
    ),
    post(
        "bad label value",
        with_meta(labels={"x": "a b"}),
        INVALID + f'metadata.labels: Invalid value: "a b": {LABEL_RULE}',
        422,
        ("FieldValueInvalid", "metadata.labels"),
    ),
    post(
        "label value of 64 bytes",
        with_meta(labels={"x": "a" * 64}),
        INVALID + f'metadata.labels: Invalid value: "{"a" * 64}": must be no more than 63 bytes',
        422,
        ("FieldValueInvalid", "metadata.labels"),
    ),
    post(
        "label value of a megabyte",
        with_meta(labels={"x": "a" * 1_000_000}),
        INVALID + "metadata.labels: …",
        422,
        ("FieldValueInvalid", "metadata.labels"),
    ),
    post(
        "annotations over 256 KiB",
        with_meta(annotations={"x": "y" * 262_144}),
        INVALID + "metadata.annotations: Too long: may not be more than 262144 bytes",
        422,
        ("FieldValueTooLong", "metadata.annotations"),
    ),
    post(
        "bad annotation key",
        with_meta(annotations={"a b": "y"}),
        INVALID + 'metadata.annotations: Invalid value: "a b": name part must consist of …',
        422,
        ("FieldValueInvalid", "metadata.annotations"),
    ),
    post(
        "unqualified finalizer",
        with_meta(finalizers=["nope"]),
        INVALID + "metadata.finalizers[0]: Invalid value: "
        '"nope": name is neither a standard finalizer name nor is it fully qualified',
        422,
        ("FieldValueInvalid", "metadata.finalizers[0]"),
    ),
    post(
        "finalizers that exclude each other",
        with_meta(finalizers=["orphan", "foregroundDeletion"]),
        INVALID + 'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foreground'
        "Deletion cannot be both set",
        422,
        ("FieldValueInvalid", "metadata.finalizers"),
    ),
    post(
        "owner without uid",
        with_meta(ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "p"}]),
        INVALID + 'metadata.ownerReferences[0].uid: Invalid value: "": must not be empty',
        422,
        ("FieldValueInvalid", "metadata.ownerReferences[0].uid"),
    ),
    post(
        "owner that is an Event",
        with_meta(ownerReferences=[{"apiVersion": "v1", "kind": "Event", "name": "p", "uid": "u"}]),
        INVALID + "metadata.ownerReferences[0]: Invalid value: …",
        422,
        ("FieldValueInvalid", "metadata.ownerReferences[0]"),
    ),
    post(
        "owners without anything",
        with_meta(ownerReferences=[{}]),
        INVALID + '[metadata.ownerReferences[0].apiVersion: Invalid value: "": version must not be empty, …',
        422,
        *[
            ("FieldValueInvalid", f"metadata.ownerReferences[0].{part}")
            for part in ("apiVersion", "kind", "name", "uid")
        ],
    ),
    Row(
        "name taken",
        409,
        'configmaps "kept" already exists',
        body=b'{"metadata":{"name":"kept"}}',
        reason="AlreadyExists",
    ),
    post(
        "Pod without containers",
        {"metadata": {"name": "p"}},
        'Pod "p" is invalid: spec.containers: Required value',
        422,
        ("FieldValueRequired", "spec.containers"),
        path=PODS,
    ),
    post(
        "Service outside of the range",
        {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "clusterIP": "1.2.3.4"}},
        'Service "s" is invalid: spec.clusterIPs: Invalid value: …',
        422,
        ("FieldValueInvalid", "spec.clusterIPs"),
        path=SERVICES,
    ),
    post(
        "Service of a low port",
        {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "nodePort": 80}], "type": "NodePort"}},
        'Service "s" is invalid: spec.ports[0].nodePort: Invalid value: 80: …',
        422,
        ("FieldValueInvalid", "spec.ports[0].nodePort"),
        path=SERVICES,
    ),
    post(
        "no such namespace",
        config_map(),
        'namespaces "nowhere" not found',
        404,
        path="/api/v1/namespaces/nowhere/configmaps",
    ),
]
