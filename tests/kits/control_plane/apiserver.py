"""A real kube-apiserver process for tests, on loopback and over TLS."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from mini_cluster.inprocess import WITHOUT_ACCOUNTS, InProcessApi, in_process_api
from tests.kits.process import TOKEN, Process, free_port

TOKENS = f'{TOKEN},admin,admin-uid,"system:masters"\nother-token,jane,jane-uid\n'


def as_item(obj: dict[str, Any]) -> dict[str, Any]:
    """The object as it stands in a list, which says itself what its items are."""
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


class ApiClient:
    """What tests do all the time, on whichever server; `http` is an administrator's."""

    http: httpx.Client

    def make_namespace(self, name: str) -> str:
        """Its collection root: "/api/v1/namespaces/NAME"."""
        answer = self.http.post("/api/v1/namespaces", json={"metadata": {"name": name}})
        assert answer.status_code == 201, answer.text
        return f"/api/v1/namespaces/{name}"

    @contextlib.contextmanager
    def watch(self, path: str, **query: str) -> Iterator[Watch]:
        with self.http.stream("GET", path, params={"watch": "true", **query}) as answer:
            yield Watch(answer)


class ApiServer(ApiClient, Process):
    """`with ApiServer(folder, etcd_url) as api`; `api.http` is an httpx client of an administrator.

    Pods need no service account, as most tests have no controller that makes one: see `in_process_api`.
    """

    def __init__(self, folder: Path, etcd_url: str, *flags: str) -> None:
        super().__init__("kube-apiserver", folder)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.log_file = folder / "kube-apiserver.log"
        self._flags = [f"--etcd-servers={etcd_url}", WITHOUT_ACCOUNTS, *flags]
        (folder / "tokens.csv").write_text(TOKENS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns once it is ready. Raises: RuntimeError with the end of its log when it is not."""
        command = [sys.executable, "-m", "apiserver", "--bind-address=127.0.0.1", f"--secure-port={self.port}"]
        command += [f"--cert-dir={self.folder}", f"--token-auth-file={self.folder}/tokens.csv"]
        command += [f"--log-file={self.log_file}", *self._flags]
        self.run(command, ready=self._ready)
        self.http = self.client(TOKEN)

    def _ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz", verify=False, timeout=5).status_code == 200
        return False

    def words(self) -> str:
        return super().words() + (self.log_file.read_text() if self.log_file.exists() else "")

    def client(self, token: str = "", **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, verify=False, headers=headers, timeout=30, **options)

    def _end(self, number: int) -> int:
        try:
            return super()._end(number)
        finally:
            if hasattr(self, "http"):
                self.http.close()

    def kubectl(self, *arguments: str, namespace: str = "default", stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Real kubectl, as the administrator."""
        command = ["kubectl", f"--server={self.url}", "--insecure-skip-tls-verify", f"--token={TOKEN}"]
        command += [f"--cache-dir={self.folder}/kubectl-cache", f"--namespace={namespace}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60, check=False)


class AsgiApi(ApiClient):
    """The application of the same server inside this process; a test that needs a server process is skipped."""

    def __init__(self, api: InProcessApi) -> None:
        self._api = api
        self.http = api.client(TOKEN)

    def client(self, token: str = "", **options: Any) -> httpx.Client:
        return self._api.client(token, **options)

    def __getattr__(self, name: str) -> Any:
        if hasattr(ApiServer, name) or name in ("port", "url", "process", "folder", "log_file"):
            pytest.skip(f"needs a server process: {name}")
        raise AttributeError(name)


@contextlib.contextmanager
def asgi_api(folder: Path, etcd_url: str) -> Iterator[AsgiApi]:
    folder.mkdir(parents=True, exist_ok=True)
    tokens = folder / "test-tokens.csv"
    tokens.write_text(TOKENS)
    flags = [f"--token-auth-file={tokens}", "--authorization-mode=AlwaysAllow"]  # the default of kube-apiserver
    with in_process_api(folder, etcd_url, *flags) as api:
        yield AsgiApi(api)


class Watch:
    """Events of an open watch, one by one."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self._answer = answer
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, dict[str, Any]]:
        """(type, object). Raises: StopIteration when the server has ended the watch."""
        event = json.loads(next(self._lines))
        return event["type"], event["object"]

    def rest(self) -> list[tuple[str, dict[str, Any]]]:
        """All until the server ends it."""
        events = [json.loads(line) for line in self._lines]
        return [(event["type"], event["object"]) for event in events]

    def body(self) -> dict[str, Any]:
        """The Status of a refused watch."""
        self._answer.read()
        body: dict[str, Any] = self._answer.json()
        return body


HAS_KUBECTL = shutil.which("kubectl") is not None
