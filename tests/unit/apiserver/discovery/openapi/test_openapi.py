"""What both OpenAPI documents say of the models and paths."""

import json

import pytest

from apimachinery.catalogue import load_catalogue
from apiserver.discovery.openapi import v2, v3
from apiserver.discovery.openapi.api import Api
from apiserver.main.collected import all_subresources

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
POD = "/api/v1/namespaces/{namespace}/pods/{name}"


def make_api():
    catalogue = load_catalogue()
    return Api(catalogue, all_subresources(catalogue), "v1.35.0")


@pytest.fixture(scope="module")
def documents():
    return {name: json.loads(body) for name, body in v3.documents(make_api())}


@pytest.fixture(scope="module")
def swagger():
    return json.loads(b"".join((*v2.first_part(make_api())[:2], b"}}")))


def references(value):
    """Every "$ref" in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def operations(document):
    for item in document["paths"].values():
        yield from (operation for method, operation in item.items() if method != "parameters")


def schema(documents, document, name):
    return documents[document]["components"]["schemas"][name]


def test_every_group_version_and_place_of_discovery_has_a_document(documents):
    assert set(documents) >= {"api", "apis", "version", "api/v1", "apis/apps", "apis/apps/v1"}
    assert "/version/" in documents["version"]["paths"]


def test_documents_are_the_same_each_time():
    assert list(v3.documents(make_api())) == list(v3.documents(make_api()))
    assert v2.first_part(make_api()) == v2.first_part(make_api())


def test_all_references_resolve(documents, swagger):
    for document in documents.values():
        known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert set(references(document)) <= known
    assert set(references(swagger)) <= {f"#/definitions/{name}" for name in swagger["definitions"]}


def test_operation_ids_are_unique(documents, swagger):
    everywhere = [operation["operationId"] for document in documents.values() for operation in operations(document)]
    assert len(set(everywhere)) == len(everywhere)
    assert sorted(everywhere) == sorted(operation["operationId"] for operation in operations(swagger))


@pytest.mark.parametrize(
    "name",
    [
        "listCoreV1NamespacedPod", "listCoreV1PodForAllNamespaces", "createAppsV1NamespacedDeployment",
        "readCoreV1NamespacedPodLog", "replaceCoreV1NamespaceFinalize", "patchAppsV1NamespacedDeploymentScale",
        "deleteCoreV1CollectionNamespacedPod", "connectCoreV1PostNamespacedPodExec", "readCoreV1NodeStatus",
        "createCoreV1NamespacedPodBinding", "createCoreV1NamespacedPodEviction", "watchCoreV1NamespaceList",
        "watchCoreV1PodListForAllNamespaces", "getAppsV1APIResources", "getDiscoveryAPIGroup",
    ],
)  # fmt: skip
def test_operations_are_named_as_client_generators_know_them(swagger, name):
    assert name in [operation["operationId"] for operation in operations(swagger)]


def test_tags_group_operations_by_version(swagger):
    tags = {operation["operationId"]: operation["tags"] for operation in operations(swagger)}
    assert tags["listCoreV1NamespacedPod"] == ["core_v1"]
    assert tags["getAppsAPIGroup"] == ["apps"]


def test_kinds_are_found_by_group_version_kind(documents):
    deployment = schema(documents, "apis/apps/v1", "io.k8s.api.apps.v1.Deployment")
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "Deployment"}]
    assert schema(documents, "apis/apps/v1", "io.k8s.api.apps.v1.DeploymentList")["required"] == ["items"]
    assert schema(documents, "apis/apps/v1", "io.k8s.api.autoscaling.v1.Scale")["x-kubernetes-group-version-kind"]
    options = schema(documents, "apis/apps/v1", META + "DeleteOptions")["x-kubernetes-group-version-kind"]
    assert {"group": "apps", "version": "v1", "kind": "DeleteOptions"} in options


def test_merge_keys_are_published(documents, swagger):
    for pod_spec in (
        schema(documents, "api/v1", "io.k8s.api.core.v1.PodSpec"),
        swagger["definitions"]["io.k8s.api.core.v1.PodSpec"],
    ):
        containers = pod_spec["properties"]["containers"]
        assert containers["x-kubernetes-patch-merge-key"] == "name"
        assert containers["x-kubernetes-patch-strategy"] == "merge"
        assert containers["x-kubernetes-list-map-keys"] == ["name"]
        assert pod_spec["properties"]["volumes"]["x-kubernetes-patch-strategy"] == "merge,retainKeys"
        assert pod_spec["properties"]["tolerations"]["x-kubernetes-list-type"] == "atomic"


def test_types_with_rules_of_their_own_have_a_name(documents, swagger):
    for schemas, prefix in (
        (documents["api/v1"]["components"]["schemas"], "#/components/schemas/"),
        (swagger["definitions"], "#/definitions/"),
    ):

        def refers(model, field, name, schemas=schemas, prefix=prefix):
            found = schemas[model]["properties"][field]
            found = found.get("additionalProperties", found)
            return {"$ref": prefix + name} in [found, *found.get("allOf", [])] or found["$ref"] == prefix + name

        assert refers(
            "io.k8s.api.core.v1.ResourceRequirements", "limits", "io.k8s.apimachinery.pkg.api.resource.Quantity"
        )
        assert refers("io.k8s.api.core.v1.HTTPGetAction", "port", "io.k8s.apimachinery.pkg.util.intstr.IntOrString")
        assert refers(META + "ObjectMeta", "creationTimestamp", META + "Time")
        assert refers(META + "ManagedFieldsEntry", "fieldsV1", META + "FieldsV1")
        assert schemas[META + "Time"]["format"] == "date-time"
    assert swagger["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"


def test_numbers_and_bytes_have_a_format(documents):
    port = schema(documents, "api/v1", "io.k8s.api.core.v1.ContainerPort")["properties"]["containerPort"]
    assert (port["type"], port["format"]) == ("integer", "int32")
    data = schema(documents, "api/v1", "io.k8s.api.core.v1.Secret")["properties"]["data"]
    assert data["additionalProperties"]["format"] == "byte"


def test_defaults_are_published_in_v3(documents):
    assert (
        schema(documents, "apis/apps/v1", "io.k8s.api.apps.v1.DeploymentSpec")["properties"]["replicas"]["default"] == 1
    )


def test_patches_say_which_types_they_take_and_that_fields_can_be_validated(documents):
    patch = documents["api/v1"]["paths"][POD]["patch"]
    assert {"fieldValidation", "force", "dryRun"} <= {parameter["name"] for parameter in patch["parameters"]}
    assert set(patch["requestBody"]["content"]) == {
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    }
    assert patch["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert patch["x-kubernetes-action"] == "patch"


def test_a_deletion_answers_the_object_or_a_status(documents):
    answer = documents["api/v1"]["paths"][POD]["delete"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert [option["$ref"].rpartition(".")[2] for option in answer["anyOf"]] == ["Pod", "Status"]


def test_failures_are_a_status(documents):
    for document in documents.values():
        for operation in operations(document):
            for code in ("401", "default"):
                answer = operation["responses"][code]["content"]["application/json"]["schema"]
                assert answer["$ref"].endswith(".Status")


def test_strings_with_few_values_name_them(documents, swagger):
    for schemas in (documents["api/v1"]["components"]["schemas"], swagger["definitions"]):
        assert schemas["io.k8s.api.core.v1.ServicePort"]["properties"]["protocol"]["enum"] == ["SCTP", "TCP", "UDP"]


def test_what_must_be_given_is_said_where_no_type_tells_it(swagger):
    required = {name: schema.get("required", []) for name, schema in swagger["definitions"].items()}
    assert required["io.k8s.api.apps.v1.DeploymentSpec"] == ["selector", "template"]
    assert required["io.k8s.api.core.v1.LocalObjectReference"] == []


def test_what_is_owned_as_one_value_is_marked(documents):
    schemas = documents["api/v1"]["components"]["schemas"]
    assert schemas["io.k8s.api.core.v1.LocalObjectReference"]["x-kubernetes-map-type"] == "atomic"
    assert schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["nodeSelector"]["x-kubernetes-map-type"] == "atomic"
    ports = schemas["io.k8s.api.core.v1.Container"]["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert ports["x-kubernetes-patch-merge-key"] == "containerPort"
