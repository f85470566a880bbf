"""The protobuf form of OpenAPI v2, read back with protobuf's own runtime and compared with the JSON."""

import json

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from apimachinery.catalogue import load_catalogue
from apiserver.discovery.openapi import v2
from apiserver.discovery.openapi.api import Api
from apiserver.main.collected import all_subresources

MESSAGES = """
Any yaml:2
NamedAny name:1 value:2:Any
Info title:1 version:2
Document swagger:1 info:2:Info paths:8:Paths definitions:9:Definitions security:12:SecurityRequirement[]
Paths path:2:NamedPathItem[]
NamedPathItem name:1 value:2:PathItem
PathItem get:2:Operation put:3:Operation post:4:Operation delete:5:Operation options:6:Operation head:7:Operation
 patch:8:Operation parameters:9:Item[]
Operation tags:1:s[] description:3 operationId:5 produces:6:s[] consumes:7:s[] parameters:8:Item[]
 responses:9:Responses schemes:10:s[] deprecated:11:b x:13:NamedAny[]
Item parameter:1:Parameter
Parameter body:1:Body other:2:Other
Body description:1 name:2 in:3 required:4:b schema:5:Schema
Other query:3:Query path:4:QueueState
Query in:2 description:3 name:4 type:6 items:8:Items uniqueItems:20:b enum:21:Any[]
QueueState required:1:b in:2 description:3 name:4 type:5 uniqueItems:19:b
Items type:1
Responses code:1:NamedResponse[]
NamedResponse name:1 value:2:ResponseValue
ResponseValue response:1:Response
Response description:1 schema:2:SchemaItem
SchemaItem schema:1:Schema
Definitions schema:1:NamedSchema[]
NamedSchema name:1 value:2:Schema
Properties schema:1:NamedSchema[]
Schema ref:1 format:2 description:4 required:19:s[] enum:20:Any[] additionalProperties:21:SchemaItem type:22:Strings
 items:23:ItemsItem properties:25:Properties x:31:NamedAny[]
Strings value:1:s[]
ItemsItem schema:1:Schema[]
SecurityRequirement scheme:1:NamedStrings[]
NamedStrings name:1 value:2:Strings
"""
"""What the test reads, by gnostic's numbers: field:number:type, text where there is no type."""


def document_class():
    file = descriptor_pb2.FileDescriptorProto(name="openapi.proto", package="openapi.v2", syntax="proto3")
    for line in MESSAGES.strip().replace("\n ", " ").splitlines():
        name, *fields = line.split()
        message = file.message_type.add(name=name)
        for word in fields:
            field, number, kind, *_ = f"{word}:s".split(":")
            added = message.field.add(name=field, number=int(number))
            added.label = added.LABEL_REPEATED if kind.endswith("[]") else added.LABEL_OPTIONAL
            kind = kind.removesuffix("[]")
            added.type = {"s": added.TYPE_STRING, "b": added.TYPE_BOOL}.get(kind, added.TYPE_MESSAGE)
            if added.type == added.TYPE_MESSAGE:
                added.type_name = f".openapi.v2.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("openapi.v2.Document"))


@pytest.fixture(scope="module")
def api():
    catalogue = load_catalogue()
    return Api(catalogue, all_subresources(catalogue), "v1.35.0")


@pytest.fixture(scope="module")
def expected(api):
    return json.loads(b"".join((*v2.first_part(api)[:2], b"}}")))


@pytest.fixture(scope="module")
def document(api):
    found = document_class()()
    found.ParseFromString(v2.first_part(api).protobuf)
    return found


def as_schema(message):
    """A Schema message as the JSON it stands for."""
    found = {"$ref": message.ref, "format": message.format, "description": message.description}
    found["required"] = list(message.required)
    found["enum"] = [json.loads(value.yaml) for value in message.enum]
    found["type"] = "".join(message.type.value)
    if message.HasField("additionalProperties"):
        found["additionalProperties"] = as_schema(message.additionalProperties.schema)
    if message.HasField("items"):
        found["items"] = as_schema(message.items.schema[0])
    found["properties"] = {item.name: as_schema(item.value) for item in message.properties.schema}
    found |= {item.name: json.loads(item.value.yaml) for item in message.x}
    return {key: value for key, value in found.items() if value}


def test_all_definitions_are_those_of_the_json(document, expected):
    found = {item.name: as_schema(item.value) for item in document.definitions.schema}
    assert found == expected["definitions"]


def test_all_paths_and_operations_are_those_of_the_json(document, expected):
    assert [item.name for item in document.paths.path] == list(expected["paths"])
    for item in document.paths.path:
        for method in ("get", "put", "post", "delete", "options", "head", "patch"):
            wanted = expected["paths"][item.name].get(method)
            assert item.value.HasField(method) is (wanted is not None)
            if wanted is not None:
                check_operation(getattr(item.value, method), wanted)
        wanted = [parameter["name"] for parameter in expected["paths"][item.name].get("parameters", ())]
        assert [parameter.parameter.other.path.name for parameter in item.value.parameters] == wanted


def check_operation(found, wanted):
    assert (found.operationId, list(found.tags)) == (wanted["operationId"], wanted["tags"])
    assert (list(found.consumes), list(found.produces)) == (wanted["consumes"], wanted["produces"])
    assert {item.name: json.loads(item.value.yaml) for item in found.x} == {
        key: value for key, value in wanted.items() if key.startswith("x-")
    }
    assert {item.name: as_schema(item.value.response.schema.schema) for item in found.responses.code} == {
        code: answer.get("schema", {}) for code, answer in wanted["responses"].items()
    }
    parameters = [item.parameter for item in found.parameters]
    bodies = [as_schema(item.body.schema) for item in parameters if item.HasField("body")]
    assert bodies == [item["schema"] for item in wanted.get("parameters", ()) if item["in"] == "body"]
    queries = [item.other.query for item in parameters if item.HasField("other")]
    assert [(item.name, item.type, [json.loads(value.yaml) for value in item.enum]) for item in queries] == [
        (item["name"], item["type"], item.get("enum", []))
        for item in wanted.get("parameters", ())
        if item["in"] == "query"
    ]


def test_the_head_says_what_it_is(document):
    assert (document.swagger, document.info.title, document.info.version) == ("2.0", "Kubernetes", "v1.35.0")
    assert document.security[0].scheme[0].name == "BearerToken"
