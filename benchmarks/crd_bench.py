"""Measures custom resources: creates beside those of ConfigMaps, the cost of a large definition, and of many.

`python -m benchmarks.crd_bench`: one API server on an etcd of its own. Creates are measured in rounds that take turns;
their CPU is what the kernel counts for the server's process. Memory is its resident set.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.measured import MeasuredServer

Dict = dict[str, Any]

CREATES = 250  # of a round
ROUNDS = 5
MANY = 500  # definitions
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CONTENT = {f"key-{number}": {"text": "x" * 90, "number": number, "list": ["a", "b"]} for number in range(14)}
"""About 2 KB with 70 fields, as the spec of a custom object and, as text, in a ConfigMap."""


def definition(plural: str, spec: Dict) -> Dict:
    kind = plural[:-1].title()
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    version["subresources"] = {"status": {}}
    names = {"plural": plural, "kind": kind}
    spec = {"group": "bench.example", "scope": "Namespaced", "names": names, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.bench.example"},
        "spec": spec,
    }


def content_schema() -> Dict:
    item = {
        "type": "object",
        "properties": {
            "text": {"type": "string", "maxLength": 128},
            "number": {"type": "integer", "minimum": 0},
            "list": {"type": "array", "items": {"type": "string"}},
            "more": {"type": "string", "default": "yes"},
        },
    }
    return {"type": "object", "additionalProperties": item}


def large_schema(depth: int = 4) -> Dict:
    """About as many fields, and as much text, as Prometheus Operator's largest."""
    if not depth:
        return {"type": "string", "description": "A field with a description of the usual length. " * 2}
    members = {f"field{number}": large_schema(depth - 1) for number in range(8 if depth > 1 else 3)}
    return {"type": "object", "description": "An object with a description of its own.", "properties": members}


class Bench:
    def __init__(self, server: MeasuredServer) -> None:
        self._server = server

    def post(self, path: str, body: Dict) -> None:
        answer = self._server.http.post(path, content=orjson.dumps(body), headers={"content-type": "application/json"})
        if answer.status_code >= 300:
            raise SystemExit(f"{path}: {answer.text}")

    def define(self, plural: str, spec: Dict) -> float:
        """Returns the seconds until objects of the kind can be listed."""
        begin = time.monotonic()
        self.post(DEFINITIONS, definition(plural, spec))
        while self._server.http.get(f"/apis/bench.example/v1/{plural}").status_code != 200:
            time.sleep(0.005)
        return time.monotonic() - begin

    def creates(self) -> None:
        self.define("widgets", content_schema())
        text = orjson.dumps(CONTENT).decode()

        def config_map(name: str) -> None:
            body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"content": text}}
            self.post("/api/v1/namespaces/default/configmaps", body)

        def widget(name: str) -> None:
            body = {"kind": "Widget", "apiVersion": "bench.example/v1", "metadata": {"name": name}, "spec": CONTENT}
            self.post("/apis/bench.example/v1/namespaces/default/widgets", body)

        rates: dict[str, list[float]] = {"ConfigMap": [], "Widget": []}
        for number in range(ROUNDS):
            for kind, create in (("ConfigMap", config_map), ("Widget", widget)):
                begin = time.monotonic()
                self._server.measure(kind, create, [f"{kind.lower()}-{number}-{index}" for index in range(CREATES)])
                rates[kind].append(CREATES / (time.monotonic() - begin))
        for kind, values in rates.items():
            cpu = statistics.median(self._server.microseconds[kind])
            print(f"{kind} of 2 KB: {statistics.median(values):.0f} creates a second, {cpu:.0f} us of CPU each")
        ratios = [widget / other for widget, other in zip(rates["Widget"], rates["ConfigMap"], strict=True)]
        print(f"ratio of the rates: {statistics.median(ratios):.2f} (least {min(ratios):.2f})")

    def large(self) -> None:
        schema = large_schema()
        before = self.memory_mb()
        seconds = self.define("larges", schema)
        body = {"kind": "Large", "apiVersion": "bench.example/v1", "metadata": {"name": "a"}}
        self.post("/apis/bench.example/v1/namespaces/default/larges", body | {"spec": {"field1": {"field2": {}}}})
        size = len(orjson.dumps(schema)) // 1024
        print(f"a schema of {size} kB: served after {seconds:.2f} s, {self.memory_mb() - before:.1f} MB")

    def many(self) -> None:
        before = self.memory_mb()
        begin = time.monotonic()
        for number in range(MANY):
            self.post(DEFINITIONS, definition(f"manies{number}s", content_schema()))
        while self._server.http.get(f"/apis/bench.example/v1/manies{MANY - 1}s").status_code != 200:
            time.sleep(0.01)
        print(f"{MANY} definitions: {time.monotonic() - begin:.1f} s, {self.memory_mb() - before:.0f} MB")

    def memory_mb(self) -> float:
        assert self._server.process is not None
        status = Path(f"/proc/{self._server.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def make_folder(parent: str, name: str) -> Path:
    folder = Path(parent) / name
    folder.mkdir()
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, EtcdServer(Path(folder)) as etcd:
        for part in (Bench.creates, Bench.large, Bench.many):
            with MeasuredServer(make_folder(folder, part.__name__), etcd.url) as server:
                part(Bench(server))
        begin = time.monotonic()
        with MeasuredServer(make_folder(folder, "again"), etcd.url) as server:
            while server.http.get(f"/apis/bench.example/v1/manies{MANY - 1}s").status_code != 200:
                time.sleep(0.01)
            print(
                f"start with {MANY} definitions: {time.monotonic() - begin:.1f} s, {Bench(server).memory_mb():.0f} MB"
            )


if __name__ == "__main__":
    main()
