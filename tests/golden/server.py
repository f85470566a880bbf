"""Runs the cases of one file on a new API server with an empty etcd."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.golden import pending
from tests.golden.replay import Replay, differences
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.identity.certificates import write_certificates

HERE = Path(__file__).parent
USERS = HERE / "users.csv"
TOPICS = sorted(file.stem for file in (HERE / "cases").iterdir())
SERVER_FLAGS = (
    "--authorization-mode=Node,RBAC",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--service-account-issuer=https://kubernetes.default.svc",
    "--disable-admission-plugins=ServiceAccount",
)


def read_tokens() -> dict[str, str]:
    """Returns user -> bearer token."""
    with USERS.open(newline="") as stream:
        return {user: token for token, user, *_ in csv.reader(stream)}


def read_topic(topic: str) -> dict[str, Any]:
    """Returns the content of a file of cases."""
    document: dict[str, Any] = json.loads((HERE / "cases" / f"{topic}.json").read_text())
    return document


def check(topic: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yields the name of each case of a file and its differences. Waits only for cases that are not pending."""
    document = read_topic(topic)
    reasons = pending.read(topic)
    ca = write_certificates(folder)["ca"]
    flags = (*SERVER_FLAGS, f"--token-auth-file={USERS}", f"--client-ca-file={ca}")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as api:
        tokens = read_tokens()
        if document.get("namespace", True):
            create = {
                "name": "",
                "method": "POST",
                "path": "/api/v1/namespaces",
                "body": {"metadata": {"name": "golden"}},
            }
            Replay(api.port, tokens).perform(create, patient=False)
        replay = Replay(api.port, tokens)
        for case in document["cases"]:
            expected = {key: case[key] for key in ("code", "response", "warnings") if key in case}
            answer = replay.perform(case, patient=case["name"] not in reasons)
            yield case["name"], list(differences(expected, answer))
