import json

import pytest

from apimachinery.catalogue import load_catalogue
from apiserver import openapi


@pytest.fixture(scope="module")
def documents():
    return openapi.documents(load_catalogue(), "v1.35.0")


def load(documents, name):
    return json.loads(documents[name])


def test_every_group_version_has_a_document_and_the_index_names_its_hash(documents):
    index = json.loads(openapi.index(documents))["paths"]
    assert set(index) == set(documents) >= {"api/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1"}
    digest = openapi.digest(documents["apis/apps/v1"])
    assert index["apis/apps/v1"]["serverRelativeURL"] == f"/openapi/v3/apis/apps/v1?hash={digest}"


def test_documents_are_the_same_each_time(documents):
    assert openapi.documents(load_catalogue(), "v1.35.0") == documents


def test_all_references_resolve(documents):
    for name in documents:
        document = load(documents, name)
        schemas = document["components"]["schemas"]

        def check(value, schemas=schemas):
            if isinstance(value, dict):
                if "$ref" in value:
                    assert value["$ref"].rpartition("/")[2] in schemas
                for item in value.values():
                    check(item)
            elif isinstance(value, list):
                for item in value:
                    check(item)

        check(document)


def test_kinds_are_found_by_group_version_kind(documents):
    schemas = load(documents, "apis/apps/v1")["components"]["schemas"]
    deployment = schemas["io.k8s.api.apps.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "Deployment"}]
    assert schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]["default"] == 1


def test_merge_keys_and_quantities_are_published(documents):
    schemas = load(documents, "api/v1")["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    limits = schemas["io.k8s.api.core.v1.ResourceRequirements"]["properties"]["limits"]
    assert limits["additionalProperties"] == {"oneOf": [{"type": "string"}, {"type": "number"}]}
    port = schemas["io.k8s.api.core.v1.HTTPGetAction"]["properties"]["port"]
    assert port["format"] == "int-or-string"


def test_patches_say_that_fields_can_be_validated(documents):
    path = load(documents, "api/v1")["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert "fieldValidation" in [parameter["name"] for parameter in path["parameters"]]
    assert "application/strategic-merge-patch+json" in path["requestBody"]["content"]
    assert path["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
