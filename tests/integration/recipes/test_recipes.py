"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the source tree: one file each, and it works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.house import build_house, recipe
from tests.kits.process import TOKEN, controller_manager

FILES = {
    "kubeapi/core/widget.py": recipe("A new kind"),
    "controller_manager/controllers/workloads/widget.py": recipe("A new controller"),
    "scheduler/plugins/node_pool.py": recipe("A new scheduler plugin"),
    "apiserver/admission/widgetcolour.py": recipe("A new admission plugin"),
    "netagent/rooms/uplink.py": recipe("A new task of the node agent"),
    "apiserver/subresources/area.py": recipe("A new subresource"),
    "kubectl/commands/other/sizes.py": recipe("A new verb"),
    "kubectl/describe/kinds/example/widget.py": recipe("A kind's description"),
    "kubelet/volume/types/cephfs.py": recipe("A new volume type"),
    "kubelet/probe/actions/udp.py": recipe("A new probe kind"),
}
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_house(tmp_path_factory.mktemp("house"), FILES)


@pytest.fixture(scope="module")
def api(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The API server of that house."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch, EtcdServer(folder) as etcd:
        patch.chdir(house)
        with ApiServer(folder / "apiserver", etcd.url) as server:
            yield server


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def test_a_new_kind_is_stored_validated_and_shown(api: ApiServer) -> None:
    assert api.http.post(WIDGETS, json=widget("small", size=3, colour="red")).status_code == 201
    assert api.http.get(f"{WIDGETS}/small").json()["spec"] == {"size": 3, "colour": "red"}
    refused = api.http.post(WIDGETS, json=widget("wrong", size=-1))
    assert refused.status_code == 422
    assert "spec.size: Invalid value: -1: must be greater than or equal to 0" in refused.json()["message"]
    table = api.http.get(WIDGETS, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size"]
    assert [row["cells"] for row in table["rows"]] == [["small", 3]]
    schema = api.http.get("/openapi/v3/apis/example.com/v1").text
    assert "The edge in millimetres, 0 or more." in schema


def test_a_new_controller_reconciles(
    api: ApiServer, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(house)
    config_map = "/api/v1/namespaces/default/configmaps/owned"
    with controller_manager(api.url, tmp_path, "--controllers=widget-controller"):
        created = api.http.post(WIDGETS, json=widget("owned", size=1)).json()
        eventually(lambda: api.http.get(config_map).status_code == 200)
        stored = api.http.get(config_map).json()
        assert stored["data"] == {"size": "1"}
        assert stored["metadata"]["ownerReferences"][0]["uid"] == created["metadata"]["uid"]
        patch = {"spec": {"size": 2}}
        headers = {"Content-Type": "application/merge-patch+json"}
        assert api.http.patch(f"{WIDGETS}/owned", json=patch, headers=headers).status_code == 200
        eventually(lambda: api.http.get(config_map).json()["data"] == {"size": "2"})


def test_a_new_admission_plugin_changes_and_refuses(api: ApiServer) -> None:
    created = api.http.post(WIDGETS, json=widget("plain", size=1))
    assert created.json()["spec"]["colour"] == "grey"
    refused = api.http.post(WIDGETS, json=widget("ghost", colour="invisible"))
    assert refused.status_code == 403
    assert 'widgets.example.com "ghost" is forbidden: a widget must be seen' in refused.json()["message"]


def test_a_new_subresource_answers(api: ApiServer) -> None:
    assert api.http.post(WIDGETS, json=widget("cube", size=10)).status_code == 201
    assert api.http.get(f"{WIDGETS}/cube/area").json() == {"squareMillimetres": 600}
    assert api.http.get(f"{WIDGETS}/none/area").status_code == 404
    assert api.http.delete(f"{WIDGETS}/cube/area").status_code == 405
    served = {item["name"]: item["verbs"] for item in api.http.get("/apis/example.com/v1").json()["resources"]}
    assert served["widgets/area"] == ["get"]


def run(house: Path, code: str, *words: str) -> str:
    """Runs Python code in the house; what it prints."""
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=house, check=True, capture_output=True, text=True, timeout=60).stdout


def kubectl(api: ApiServer, house: Path, *words: str) -> str:
    """What mini-kubectl of that house prints."""
    verb = "import sys; from kubectl.cli.main import main; sys.exit(main())"
    server = (f"--server={api.url}", "--insecure-skip-tls-verify", f"--token={TOKEN}")
    return run(house, verb, *words[:1], *server, *words[1:])


def test_a_new_verb_runs_and_is_in_help_and_completion(api: ApiServer, house: Path) -> None:
    for name, spec in (("one", {"size": 1, "colour": "blue"}), ("two", {"size": 2, "colour": "green"})):
        assert api.http.post(WIDGETS, json=widget(name, **spec)).status_code == 201
    assert kubectl(api, house, "sizes", "--colour=green") == "two 2\n"
    assert "  sizes           Show how large widgets are\n" in kubectl(api, house, "--help")
    assert kubectl(api, house, "__complete", "siz") == "sizes\n:4\n"
    assert kubectl(api, house, "__complete", "sizes", "tw") == "two\n:4\n"


def test_a_kind_brings_its_description(api: ApiServer, house: Path) -> None:
    assert api.http.post(WIDGETS, json=widget("large", size=9)).status_code == 201
    text = kubectl(api, house, "describe", "widget", "large")
    assert "\nSize:         9\n" in text
    assert "\nEvents:       <none>\n" in text


def test_a_new_room_of_the_agent_follows_its_node(house: Path, tmp_path: Path) -> None:
    code = """
import asyncio, pathlib, sys
from types import SimpleNamespace
from apimachinery.catalogue import collect
from componentbase.health import HealthHandler
from kubeapi.core.node import RESOURCE, Node
from kubeclient.informer import Informer
from netagent.room import Room
import netagent.rooms.uplink as module

async def main():
    room = collect("netagent.rooms", "ROOM", Room)["uplink"]
    module.FILE = pathlib.Path(sys.argv[1])
    node = Informer(None, RESOURCE)
    context = SimpleNamespace(node=node, health=HealthHandler())
    task = asyncio.create_task(room.run(context))
    await asyncio.sleep(0)
    node.apply("ADDED", Node.model_validate({"metadata": {"name": "n", "labels": {"example.com/mtu": "9000"}}}))
    while not module.FILE.exists():
        await asyncio.sleep(0)
    print(module.FILE.read_text(), context.health.respond("/readyz", b"", False)[0])
    task.cancel()
    await room.cleanup()
    print(module.FILE.exists())

asyncio.run(main())
"""
    assert run(house, code, str(tmp_path / "mtu")).split() == ["9000", "200", "False"]


def test_new_plugins_volume_types_and_probe_kinds_are_collected(house: Path) -> None:
    code = """
from kubelet.probe.probes import probe_types
from kubelet.volume.interface import VolumeType
from apimachinery.catalogue import collect
from scheduler.framework import collect_plugins
print("udpSocket" in probe_types())
print(any(kind.source == "cephfs" for kind in collect("kubelet.volume.types", "VOLUME", VolumeType).values()))
print(any(spec.name == "NodePool" for spec in collect_plugins()))
"""
    assert run(house, code) == "True\n" * 3
