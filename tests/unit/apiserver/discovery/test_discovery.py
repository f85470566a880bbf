"""Discovery, plain and aggregated."""

from __future__ import annotations

import orjson
import pytest

from apimachinery.catalogue import load_catalogue
from apiserver.discovery.discovery import Discovery
from apiserver.discovery.foreign import ForeignVersions
from apiserver.main.collected import all_subresources


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    catalogue = load_catalogue()
    return Discovery(catalogue, all_subresources(catalogue), "10.0.0.1:6443", ForeignVersions())


def test_every_kind_is_discovered_once(discovery: Discovery) -> None:
    for resource in load_catalogue():
        found = discovery.resource_list(resource.group, resource.version)
        assert found is not None
        assert [entry["kind"] for entry in found["resources"] if entry["name"] == resource.plural] == [resource.kind]
    groups = [group["name"] for group in discovery.group_list()["groups"]]
    assert groups[:2] == ["apiregistration.k8s.io", "apps"]
    assert len(set(groups)) == len(groups)
    assert "" not in groups


def test_plain_and_aggregated_discovery_say_the_same(discovery: Discovery) -> None:
    plain, aggregated = set(), set()
    for group in discovery.group_list()["groups"]:
        for version in group["versions"]:
            listed = discovery.resource_list(group["name"], version["version"])
            assert listed is not None
            plain |= {(group["name"], entry["name"], tuple(entry["verbs"])) for entry in listed["resources"]}
    for item in orjson.loads(discovery.aggregated("apis", "v2"))["items"]:
        for version in item["versions"]:
            for entry in version["resources"]:
                group = item["metadata"]["name"]
                aggregated.add((group, entry["resource"], tuple(entry["verbs"])))
                for sub in entry.get("subresources", ()):
                    aggregated.add((group, f"{entry['resource']}/{sub['subresource']}", tuple(sub["verbs"])))
    assert plain == aggregated
