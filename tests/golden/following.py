"""Performs the steps of a controllers' file: requests, what a kubelet would write, and the lists that come of them."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.golden import pending
from tests.golden.normal import NAME_SUFFIX, generated_names, normal
from tests.golden.replay import differences, dig, filled
from tests.golden.server import HERE, SERVER_FLAGS
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.identity.certificates import write_certificates
from tests.kits.process import controller_manager

PATIENCE_SECONDS = 30.0  # for a list to become as recorded
QUIET_SECONDS = 0.3  # a list must stay as recorded for so long
PENDING_SECONDS = 1.0  # a step that is pending is looked at once, after this time
CONTROLLER_TOPICS = sorted(file.stem for file in (HERE / "controllers").iterdir())
CONTROLLERS = "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller"

Step = dict[str, Any]
"""One step of a file; README.md names the members."""
Dict = dict[str, Any]

_LONG_AGO = "2024-01-01T00:00:00Z"
_FOREIGN_OBJECTS = {"openshift-service-ca.crt"}  # what the recorded server's vendor adds
_UNRECORDED = ("managedFields", "resourceVersion", "selfLink")
_CHANGE_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
_HASH_LABELS = ("pod-template-hash", "controller-revision-hash")
_IN_TEXT = [
    (re.compile(rf"-<hash>-{NAME_SUFFIX}(?![0-9a-z])"), "-<hash>-<gen>"),
    (
        re.compile(rf"((?:(?:Created|Deleted) pod: |failed daemon pod golden/)[a-z0-9-]+-){NAME_SUFFIX}(?![a-z0-9-])"),
        r"\1<gen>",
    ),
    (re.compile(rf'(pods \\"[a-z0-9-]+-){NAME_SUFFIX}(\\" is forbidden)'), r"\1<gen>\2"),
    (re.compile(r" on node golden-[a-z]\b"), " on node <node>"),
    (re.compile(r'-----BEGIN CERTIFICATE-----[^"]*'), "<certificate>"),
    (re.compile(r"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0t[A-Za-z0-9+/=]*"), "<certificate>"),  # the same in base64
    (re.compile(r'(?<=-)2\d{7}(?=["-])'), "<minute>"),  # for which a CronJob made a Job
    (re.compile(r"10\.244\.\d+\.0/24"), "<podCIDR>"),
    (re.compile(r'(\(combined from similar events\)): [^"]*'), r"\1"),  # which of them came last is timing
]


def follow(topic: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yields the name of each step and its differences, on a new API server and controller manager."""
    document = json.loads((HERE / "controllers" / f"{topic}.json").read_text())
    reasons = pending.read(f"controllers-{topic}")
    files = write_certificates(folder)
    token_key = files["server-key"]
    flags = (*SERVER_FLAGS, f"--client-ca-file={files['ca']}", f"--service-account-signing-key-file={token_key}")
    accounts = (f"--service-account-private-key-file={token_key}", "--use-service-account-credentials")
    ranges = ("--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16")
    signing = (f"--cluster-signing-cert-file={files['ca']}", f"--cluster-signing-key-file={files['ca-key']}")
    with (
        EtcdServer(folder) as etcd,
        ApiServer(folder / "apiserver", etcd.url, *flags) as api,
        controller_manager(api.url, folder / "manager", CONTROLLERS, *accounts, *signing, *ranges),
    ):
        api.make_namespace("golden")
        follower = Follower(api.http)
        for number, step in enumerate(document["steps"]):
            name = f"{number} {_title(step)}"
            yield name, follower.perform(step, patient=name not in reasons)


def _title(step: Step) -> str:
    if "wait" in step:
        return "wait"
    if "kubelet" in step:
        return f"pods become {step['kubelet']['state']}"
    title: str = step.get("name") or f"{step['do']['method']} {step['do']['path']}"
    return title


class Follower:
    """Performs steps in order; each answers with its differences from what is recorded."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._saved: dict[str, str] = {}
        self._placeholders: dict[str, str] = {}

    def perform(self, step: Step, *, patient: bool) -> list[str]:
        if "wait" in step:
            time.sleep(step["wait"])  # the controllers' own time: what they do not do within it, they do not do
            return []
        if "kubelet" in step:
            return self._play_kubelet(step["kubelet"], patient=patient)
        if "do" in step:
            return self._request(step["do"])
        return self._expect(step["then"], patient=patient)

    def _request(self, do: Dict) -> list[str]:
        path = filled(do["path"], self._saved)
        headers = {"content-type": do.get("contentType", "application/json")}
        content = json.dumps(filled(do["body"], self._saved)) if "body" in do else None
        answer = self._http.request(do["method"], path, content=content, headers=headers)
        for name, where in (do.get("save") or {}).items():
            self._saved[name] = dig(answer.json(), where)
        return list(differences(do["code"], answer.status_code, ".code"))

    def _expect(self, then: Dict, *, patient: bool) -> list[str]:
        """Waits until the list is as recorded, and looks again after a while."""
        if not patient:
            time.sleep(PENDING_SECONDS)
            return self._differences(then)
        with contextlib.suppress(AssertionError):  # the differences say what is wrong
            eventually(lambda: not self._differences(then), seconds=then.get("within", 0) + PATIENCE_SECONDS)
        time.sleep(QUIET_SECONDS)
        return self._differences(then)

    def _differences(self, then: Dict) -> list[str]:
        return list(differences(_replaced(then["objects"], {}), self._list(then)))

    def _list(self, then: Dict) -> list[Dict]:
        answer = self._http.get(then["list"])
        body = answer.json()
        if answer.status_code != 200:
            return [{"code": answer.status_code, "message": body.get("message")}]
        items = body.get("items", [body])
        items = [item for item in items if item["metadata"]["name"] not in _FOREIGN_OBJECTS]
        for item in items:
            if "items" in body:  # whether items of a list say their kind is the matter of lists-watches
                item.pop("apiVersion", None)
                item["kind"] = body["kind"].removesuffix("List")
            self._placeholders.update(_placeholders(item))
        if fields := then.get("fields"):
            items = [{field: dig(item, field) for field in fields} for item in items]
            items = [{field: value for field, value in item.items() if value is not None} for item in items]
        items = [_tidy(_replaced(normal(_recorded(item), {}), self._placeholders)) for item in items]
        if "/events" in then["list"]:  # how often a thing was tried is timing
            items = [{field: value for field, value in item.items() if field != "count"} for item in items]
            items = list({_sorting_key(item): item for item in items}.values())
        return sorted(items, key=_sorting_key)

    def _play_kubelet(self, order: Dict, *, patient: bool) -> list[str]:
        """Writes the status of as many pods as the order says; those that are in that state already do not count."""
        path = f"/api/v1/namespaces/{order.get('namespace', 'golden')}/pods"
        expected, done = order["pods"], set[str]()

        def all_done() -> bool:
            pods = self._http.get(path, params={"labelSelector": order.get("selector", "")}).json()["items"]
            for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
                if len(done) < expected and _is_meant(pod, order):
                    name = pod["metadata"]["name"]
                    headers = {"content-type": "application/merge-patch+json"}
                    status = {"status": _kubelet_status(pod, order)}
                    if self._http.patch(f"{path}/{name}/status", json=status, headers=headers).is_success:
                        done.add(pod["metadata"]["uid"])
            return len(done) == expected

        with contextlib.suppress(AssertionError):
            eventually(all_done, seconds=PATIENCE_SECONDS if patient else PENDING_SECONDS)
        return list(differences(expected, len(done), ".pods"))


def _is_meant(pod: Dict, order: Dict) -> bool:
    """Tells whether a kubelet that follows the order would bring this pod into the state now."""
    status, state = pod["status"], order["state"]
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or [])
    if status.get("phase") in ("Succeeded", "Failed") or pod["metadata"].get("deletionTimestamp"):
        return False
    if (state == "ready" and is_ready) or (state == "running" and status.get("phase") == "Running"):
        return False
    labels = pod["metadata"].get("labels") or {}
    if "index" in order and labels.get("batch.kubernetes.io/job-completion-index") != str(order["index"]):
        return False
    if order.get("image") and pod["spec"]["containers"][0]["image"] != order["image"]:
        return False
    return pod["metadata"]["name"] in order.get("names", [pod["metadata"]["name"]])


def _kubelet_status(pod: Dict, order: Dict) -> Dict:
    """Returns the status of a pod that runs, is ready, has succeeded or has failed."""
    state, extra = order["state"], order.get("extra") or {}
    runs = state in ("ready", "running")
    code = 0 if state == "succeeded" else order.get("exitCode", 1)
    reason = "Error" if code else "Completed"
    ended = {"exitCode": code, "reason": reason, "startedAt": _LONG_AGO, "finishedAt": _LONG_AGO}
    container_state = {"running": {"startedAt": _LONG_AGO}} if runs else {"terminated": ended}
    ready = "True" if state == "ready" else "False"
    return {
        "phase": "Running" if runs else state.capitalize(),
        "podIP": "10.2.0.2",
        "podIPs": [{"ip": "10.2.0.2"}],
        "hostIP": "10.1.0.1",
        "startTime": _LONG_AGO,
        "conditions": [
            *(
                {"type": kind, "status": ready, "lastTransitionTime": _LONG_AGO}
                for kind in ("Ready", "ContainersReady")
            ),
            *extra.get("conditions", []),
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "ready": state == "ready",
                "restartCount": 0,
                "image": "i",
                "imageID": "",
                "state": container_state,
            }
            for container in pod["spec"]["containers"]
        ],
    }


def _placeholders(item: Dict) -> Iterator[tuple[str, str]]:
    """Yields (name or hash that differs from run to run, what stands for it) of an object."""
    yield from generated_names(item)
    for label in _HASH_LABELS:
        value = (item["metadata"].get("labels") or {}).get(label)
        if value:
            yield value.rsplit("-", 1)[-1], "<hash>"


def _replaced(value: Any, placeholders: dict[str, str]) -> Any:
    """Returns the value with placeholders for names, longer ones first, and for what texts tell of one run alone."""
    text = json.dumps(value)
    for name in sorted(placeholders, key=len, reverse=True):
        text = text.replace(name, placeholders[name])
    for pattern, placeholder in _IN_TEXT:
        text = pattern.sub(placeholder, text)
    return json.loads(text)


def _recorded(value: Any) -> Any:
    """Returns the value without what controllers write at different times."""
    if isinstance(value, dict):
        return {key: _recorded(member) for key, member in value.items() if key not in _UNRECORDED}
    return [_recorded(item) for item in value] if isinstance(value, list) else value


def _tidy(item: Dict) -> Dict:
    """Sorts lists whose order nobody promises, and drops times that only tell of the run."""
    for holder, key in ((item.get("metadata") or {}, "annotations"), (item, "metadata.annotations")):
        notes = holder.get(key)
        if isinstance(notes, dict) and notes.pop(_CHANGE_TIME, None) and not notes:
            del holder[key]
    for holder in (item, *(item.get("subsets") or [])):
        for key in ("endpoints", "ports", "subsets"):
            if isinstance(holder.get(key), list):
                holder[key].sort(key=_sorting_key)
    return item


def _sorting_key(item: Any) -> str:
    return json.dumps(item, sort_keys=True)
