"""Measures what authorization costs a request: the API server's CPU under each mode, beside AlwaysAllow.

`python -m benchmarks.authorization_bench`: a server of each mode has an etcd of its own, with the same 1,000 roles and
2,000 bindings. The requests are those of a user whom one binding of many allows them. Short rounds go to one server
after the other, so that the moods of the machine meet all alike, and each is compared with AlwaysAllow's beside it. A
busy machine blurs that by several percent, so the decision itself is timed as well, in this process.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import timeit
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from apimachinery.meta import Object
from apimachinery.model import from_dict
from apiserver.auth.authorization.authorizer import (
    AlwaysAllow,
    AlwaysDeny,
    Authorizer,
    Decision,
    InTurn,
    Masters,
    check,
)
from apiserver.auth.authorization.rbac import RuleSet
from apiserver.request.info import RequestInfo, parse_request
from apiserver.request.user import User
from kubeapi.rbac.clusterrole import ClusterRole
from kubeapi.rbac.clusterrolebinding import ClusterRoleBinding
from kubeapi.rbac.role import Role
from kubeapi.rbac.rolebinding import RoleBinding
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.measured import CLIENTS, MeasuredServer
from tests.kits.eventually import eventually

T = TypeVar("T", bound=Object)

ROLES, BINDINGS, NAMESPACES = 1000, 2000, 50
REQUESTS = 60  # of a kind in a round: few, so that a round and the next meet the same machine
PATH = "/api/v1/namespaces/default/pods"
POD_SPEC = {"containers": [{"name": "web", "image": "registry.example/web:1"}], "schedulerName": "none"}
MODES = ("AlwaysAllow", "RBAC", "Node,RBAC")
USER, TOKEN = "jane", "other-token"
GROUP = "rbac.authorization.k8s.io"
RULES = [
    {"verbs": ["get", "list", "watch", "create"], "apiGroups": [""], "resources": ["pods", "configmaps"]},
    {"verbs": ["get", "update"], "apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"]},
]


class ModeServer(MeasuredServer):
    def __init__(self, mode: str, folder: Path, etcd_url: str) -> None:
        super().__init__(folder, etcd_url, f"--authorization-mode={mode}")
        self.mode = mode

    def fill(self) -> None:
        """Creates the roles and bindings, with others' first, and waits until the user's count."""
        namespaces = ["default", *(f"space-{number}" for number in range(NAMESPACES - 1))]
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda name: self._post("/api/v1/namespaces", name), namespaces[1:]))
            list(pool.map(lambda n: self._post(_path(namespaces, n, "roles"), f"role-{n}", rules=RULES), range(ROLES)))
            list(pool.map(lambda n: self._bind(namespaces, n), range(BINDINGS)))
        eventually(lambda: self.user.get(PATH).status_code == 200)

    def _bind(self, namespaces: list[str], number: int) -> None:
        name = USER if number >= BINDINGS - NAMESPACES else f"user-{number}"
        subjects = [{"apiGroup": GROUP, "kind": "User", "name": name}]
        ref = {"apiGroup": GROUP, "kind": "Role", "name": f"role-{number % ROLES}"}
        self._post(_path(namespaces, number, "rolebindings"), f"binding-{number}", subjects=subjects, roleRef=ref)

    def _post(self, path: str, name: str, **members: Any) -> None:
        answer = self.http.post(path, json={"metadata": {"name": name}, **members})
        if answer.status_code != 201:
            raise SystemExit(f"{path}: {answer.text}")

    def round(self, number: int) -> None:
        def create(name: str) -> None:
            if (answer := self.user.post(PATH, json={"metadata": {"name": name}, "spec": POD_SPEC})).status_code != 201:
                raise SystemExit(answer.text)

        def get(name: str) -> None:
            if (answer := self.user.get(f"{PATH}/{name}")).status_code != 200:
                raise SystemExit(answer.text)

        names = [f"pod-{number}-{index}" for index in range(REQUESTS)]
        self.measure("create", create, names)
        self.measure("get", get, names)

    def start(self) -> None:
        super().start()
        self.user = self.client(TOKEN)


def decision_microseconds(authorizer: Authorizer) -> float:
    """Returns the time of one decision about a user's GET, as the pipeline has it made."""
    user = User(USER, groups=("system:authenticated",))
    requests = [parse_request("GET", f"{PATH}/pod-{number}") for number in range(1000)]

    def decide() -> None:
        for info in requests:
            check(authorizer, user, info)

    return min(timeit.repeat(decide, number=1)) * 1000


def rules_of(api: ModeServer) -> Authorizer:
    """Makes an authorizer of the roles and bindings that a server has."""

    def objects(model: type[T], plural: str) -> list[T]:
        return [from_dict(model, item) for item in api.http.get(f"/apis/{GROUP}/v1/{plural}").json()["items"]]

    roles = objects(Role, "roles"), objects(ClusterRole, "clusterroles")
    bindings = objects(RoleBinding, "rolebindings"), objects(ClusterRoleBinding, "clusterrolebindings")
    rules = RuleSet(chain(*roles), chain(*bindings))

    class Rules(AlwaysDeny):
        def authorize(self, user: User, info: RequestInfo) -> Decision:
            return rules.decide(user, info)

    return InTurn([Masters(), Rules()])


def _path(namespaces: list[str], number: int, plural: str) -> str:
    return f"/apis/{GROUP}/v1/namespaces/{namespaces[number % NAMESPACES]}/{plural}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        servers: list[ModeServer] = []
        for number, mode in enumerate(MODES):
            place = Path(folder) / str(number)
            place.mkdir()
            etcd = stack.enter_context(EtcdServer(place))
            server = stack.enter_context(ModeServer(mode, place / "api", etcd.url))
            server.fill()
            servers.append(server)
        allowing, ruling = (decision_microseconds(each) for each in (AlwaysAllow(), rules_of(servers[0])))
        print(f"a decision: AlwaysAllow {allowing:.2f} µs, RBAC {ruling:.2f} µs")
        for number in range(args.rounds):
            for server in servers if number % 2 else reversed(servers):
                server.round(number)
        for what, base in servers[0].microseconds.items():
            print(f"{what}: µs of CPU, the median of {args.rounds} rounds")
            for server in servers:
                samples = server.microseconds[what]
                more = statistics.median(mine / other for mine, other in zip(samples, base, strict=True)) - 1
                print(f"  {server.mode:12} {statistics.median(samples):6.1f}, {more * 100:+.1f} % beside the first")


if __name__ == "__main__":
    main()
