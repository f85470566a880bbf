"""A small driver of dynamic resources: each device that a claim got is a variable of its containers, by CDI."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.kits.plugins.proto import PluginServer, messages
from tests.kits.plugins.registrar import Registrar

pb = messages(
    "dra",
    {
        "Claim": "string namespace = 1; string uid = 2; string name = 3",
        "ClaimsRequest": "Claim* claims = 1",
        "Device": "string* request_names = 1; string pool_name = 2; string device_name = 3; string* cdi_device_ids = 4",
        "PrepareResult": "Device* devices = 1; string error = 2",
        "PrepareResponse": "map<PrepareResult> claims = 1",
        "UnprepareResult": "string error = 1",
        "UnprepareResponse": "map<UnprepareResult> claims = 1",
    },
)
GROUP = "/apis/resource.k8s.io/v1"
Dict = dict[str, Any]


class DraDriver:
    """`find(namespace, name)` reads a claim. `calls` is what it was asked: (method, names of claims).

    `refusal` is its answer to all calls, if it is set. `after[method]` runs once the work of a call is done, before
    its answer: the place to kill a kubelet.
    """

    def __init__(
        self, name: str, kubelet_root: Path, cdi: Path, find: Callable[[str, str], Dict], *, version: str = "v1"
    ) -> None:
        self.name, self.cdi = name, cdi
        self.calls: list[tuple[str, list[str]]] = []
        self.refusal = ""
        self.after: dict[str, Callable[[], None]] = {}
        self._find = find
        self._files: set[Path] = set()
        self._service = f"/k8s.io.kubelet.pkg.apis.dra.{version}.DRAPlugin"
        self.socket = kubelet_root / f"{name}.sock"
        self.registrar = Registrar(
            kubelet_root / "plugins_registry", "DRAPlugin", name, str(self.socket), [f"{version}.DRAPlugin"]
        )

    def start(self) -> None:
        """Serves, and registers."""
        self.cdi.mkdir(parents=True, exist_ok=True)
        self.serve()
        self.registrar.start()

    def serve(self) -> None:
        self.socket.unlink(missing_ok=True)
        methods = {
            f"{self._service}/{name}": (pb.ClaimsRequest, handler, False)
            for name, handler in (("NodePrepareResources", self._prepare), ("NodeUnprepareResources", self._unprepare))
        }
        self._server = PluginServer(str(self.socket), methods)
        self._server.start()

    def stop(self) -> None:
        """Ends as it should: its registration goes first."""
        self.registrar.stop()
        self.die()

    def die(self) -> None:
        self._server.stop()

    def prepared(self) -> list[Path]:
        """The CDI files of what is prepared; other drivers may have theirs in the folder."""
        return [path for path in self._files if path.exists()]

    def methods(self) -> list[str]:
        return [method.removeprefix("Node").removesuffix("Resources") for method, _ in self.calls]

    def _prepare(self, request: Any, context: Any) -> Any:
        self._called("NodePrepareResources", request)
        results = {claim.uid: self._prepared(claim) for claim in request.claims}
        self._done("NodePrepareResources")
        return pb.PrepareResponse(claims=results)

    def _prepared(self, claim: Any) -> Any:
        if self.refusal:
            return pb.PrepareResult(error=self.refusal)
        found = self._find(claim.namespace, claim.name)["status"]["allocation"]["devices"]["results"]
        mine = [item for item in found if item["driver"] == self.name]
        kind = f"{self.name}/{claim.uid}"
        edits = [
            {"name": item["device"], "containerEdits": {"env": [f"{_variable(item['request'])}={item['device']}"]}}
            for item in mine
        ]
        self._file(claim.uid).write_text(json.dumps({"cdiVersion": "0.6.0", "kind": kind, "devices": edits}))
        devices = [
            pb.Device(
                request_names=[item["request"]],
                pool_name=item["pool"],
                device_name=item["device"],
                cdi_device_ids=[f"{kind}={item['device']}"],
            )
            for item in mine
        ]
        return pb.PrepareResult(devices=devices)

    def _unprepare(self, request: Any, context: Any) -> Any:
        self._called("NodeUnprepareResources", request)
        for claim in request.claims:
            if not self.refusal:
                self._file(claim.uid).unlink(missing_ok=True)
        self._done("NodeUnprepareResources")
        return pb.UnprepareResponse(
            claims={claim.uid: pb.UnprepareResult(error=self.refusal) for claim in request.claims}
        )

    def _called(self, method: str, request: Any) -> None:
        self.calls.append((method, [claim.name for claim in request.claims]))

    def _done(self, method: str) -> None:
        if method in self.after:
            self.after.pop(method)()

    def _file(self, uid: str) -> Path:
        path = self.cdi / f"{self.name}-{uid}.json"
        self._files.add(path)
        return path


def _variable(request: str) -> str:
    return "DEVICE_" + request.upper().replace("/", "_").replace("-", "_")


def finder(http: httpx.Client) -> Callable[[str, str], Dict]:
    """Reads claims from an API server."""

    def find(namespace: str, name: str) -> Dict:
        answer = http.get(f"{GROUP}/namespaces/{namespace}/resourceclaims/{name}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    return find


def publish(http: httpx.Client, driver: str, node: str, *devices: str) -> None:
    """Offers devices of a node in a slice, as drivers do when they start and when their slices are gone."""
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": driver, "pool": pool, "nodeName": node, "devices": [{"name": name} for name in devices]}
    answer = http.post(f"{GROUP}/resourceslices", json={"metadata": {"name": f"{node}-{driver}"}, "spec": spec})
    assert answer.status_code in (201, 409), answer.text
