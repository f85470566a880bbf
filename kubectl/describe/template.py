"""Writes containers and scheduling constraints, of pods and of the templates of workloads."""

from __future__ import annotations

import math
from typing import Any

from apimachinery.quantity import parse_quantity
from kubectl.api.client import Dict
from kubectl.describe.volumes import volume_lines
from kubectl.describe.writer import TextWriter, when
from kubectl.input.pods import selector_text


def describe_template(template: Dict) -> str:
    """The pod template part of a workload's description."""
    writer = TextWriter()
    pod_template(writer, template)
    return writer.text()


def pod_template(writer: TextWriter, template: Dict) -> None:
    """Writes the pod template of a workload, below its heading."""
    writer.heading("Pod Template")
    meta, spec = template.get("metadata") or {}, template["spec"]
    writer.labels("Labels", meta.get("labels"), 1)
    if meta.get("annotations"):
        writer.annotations(meta["annotations"], 1)
    if spec.get("serviceAccountName"):
        writer.field("Service Account", spec["serviceAccountName"], 1)
    container_lines(writer, spec, {}, None, nested=True)
    volume_lines(writer, spec, nested=True)
    scheduling_lines(writer, spec, 1)


def scheduling_lines(writer: TextWriter, spec: Dict, level: int = 0) -> None:
    """Writes the constraints on where the pods may run."""
    writer.labels("Node-Selectors", spec.get("nodeSelector"), level)
    tolerations = sorted(spec.get("tolerations") or (), key=lambda toleration: str(toleration.get("key", "")))
    writer.items("Tolerations", [_toleration(toleration) for toleration in tolerations], level)
    spreads = spec.get("topologySpreadConstraints") or ()
    if spreads:
        writer.items("Topology Spread Constraints", [_spread(spread) for spread in spreads], level)


def container_lines(writer: TextWriter, spec: Dict, status: Dict, pod: Dict | None, *, nested: bool = False) -> None:
    """Writes containers; environment variables may take fields of `pod`, which a template does not have."""
    for label, field, states in (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        if not spec.get(field):
            continue
        writer.heading(label, 1 if nested else 0)
        by_name = {state["name"]: state for state in status.get(states) or ()}
        for container in spec[field]:
            writer.heading((" " if nested else "") + container["name"], 1)
            _container(writer, container, by_name.get(container["name"]), pod)


def _container(writer: TextWriter, container: Dict, status: Dict | None, pod: Dict | None) -> None:
    if status is not None:
        writer.field("Container ID", status.get("containerID", ""), 2)
    writer.field("Image", container.get("image"), 2)
    if status is not None:
        writer.field("Image ID", status.get("imageID", ""), 2)
    ports = container.get("ports") or ()
    for label, key in (("Port", "containerPort"), ("Host Port", "hostPort")):
        texts = [f"{port.get(key, 0)}/{port.get('protocol', 'TCP')}" for port in ports]
        writer.field(label + ("s" if len(texts) > 1 else ""), ", ".join(texts) or None, 2)
    for label, key in (("Command", "command"), ("Args", "args")):
        if container.get(key):
            writer.heading(label, 2)
            for word in container[key]:
                for part in word.split("\n"):
                    writer.line(part, 3)
    if status is not None:
        _state(writer, "State", status.get("state") or {})
        if status.get("lastState"):
            _state(writer, "Last State", status["lastState"])
        writer.field("Ready", str(bool(status.get("ready"))), 2)
        writer.field("Restart Count", status.get("restartCount", 0), 2)
    for label, key in (("Limits", "limits"), ("Requests", "requests")):
        if amounts := (container.get("resources") or {}).get(key):
            writer.heading(label, 2)
            for name, amount in sorted(amounts.items()):
                writer.field(name, amount, 3)
    for label, key in (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")):
        if container.get(key):
            writer.field(label, _probe(container[key]), 2)
    _environment(writer, container, pod)
    mounts = sorted(container.get("volumeMounts") or (), key=lambda mount: str(mount["mountPath"]))
    if not mounts:
        writer.field("Mounts", None, 2)
        return
    writer.heading("Mounts", 2)
    for mount in mounts:
        how = "ro" if mount.get("readOnly") else "rw"
        if mount.get("subPath"):
            how += f',path="{mount["subPath"]}"'
        writer.line(f"{mount['mountPath']} from {mount['name']} ({how})", 3)


def _state(writer: TextWriter, label: str, state: Dict) -> None:
    name = next(iter(state), "waiting")
    detail = state.get(name) or {}
    writer.field(label, name.capitalize(), 2)
    if detail.get("reason"):
        writer.field("Reason", detail["reason"], 3)
    if name == "terminated":
        if detail.get("message"):
            writer.field("Message", detail["message"], 3)
        writer.field("Exit Code", detail.get("exitCode", 0), 3)
        if detail.get("signal"):
            writer.field("Signal", detail["signal"], 3)
        writer.field("Started", when(detail.get("startedAt")), 3)
        writer.field("Finished", when(detail.get("finishedAt")), 3)
    elif name == "running":
        writer.field("Started", when(detail.get("startedAt")), 3)


def _probe(probe: Dict) -> str:
    if http := probe.get("httpGet"):
        scheme, host, path = http.get("scheme", "HTTP").lower(), http.get("host", ""), http.get("path", "/")
        how = f"http-get {scheme}://{host}:{http['port']}{path}"
    elif tcp := probe.get("tcpSocket"):
        how = f"tcp-socket {tcp.get('host', '')}:{tcp['port']}"
    elif command := probe.get("exec"):
        how = f"exec [{' '.join(command.get('command') or ())}]"
    else:
        grpc = probe.get("grpc") or {}
        how = f"grpc <pod>:{grpc.get('port', '')} {grpc.get('service') or ''}"
    return (
        f"{how} delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )


def _environment(writer: TextWriter, container: Dict, pod: Dict | None) -> None:
    if sources := container.get("envFrom"):
        writer.heading("Environment Variables from", 2)
        for source in sources:
            kind, ref = ("ConfigMap", source.get("configMapRef")) if source.get("configMapRef") else ("Secret", None)
            ref = ref or source.get("secretRef") or {}
            prefix = f" with prefix '{source['prefix']}'" if source.get("prefix") else ""
            writer.line(f"{ref.get('name')}\t{kind}{prefix}\tOptional: {_lower(ref.get('optional'))}", 3)
    variables = container.get("env") or ()
    if not variables:
        writer.field("Environment", None, 2)
        return
    writer.heading("Environment", 2)
    for variable in variables:
        source = variable.get("valueFrom")
        text = _taken(source, container, pod) if source else str(variable.get("value") or "")
        first, *rest = text.split("\n")
        writer.field(variable["name"], first, 3)
        for part in rest:
            writer.line(f"\t{part}", 3)


def _taken(source: Dict, container: Dict, pod: Dict | None) -> str:
    if ref := source.get("configMapKeyRef"):
        return f"<set to the key '{ref['key']}' of config map '{ref['name']}'>\tOptional: {_lower(ref.get('optional'))}"
    if ref := source.get("secretKeyRef"):
        return f"<set to the key '{ref['key']}' in secret '{ref['name']}'>\tOptional: {_lower(ref.get('optional'))}"
    if ref := source.get("fieldRef"):
        return f"{_field_of(pod, ref['fieldPath'])} ({ref.get('apiVersion', 'v1')}:{ref['fieldPath']})"
    if ref := source.get("resourceFieldRef"):
        return f"{_amount(ref, container)} ({ref['resource']})"
    return ""


def _field_of(pod: Dict | None, path: str) -> str:
    value: Any = pod
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _amount(ref: Dict, container: Dict) -> str:
    kind, _, name = ref["resource"].partition(".")
    amount = ((container.get("resources") or {}).get(kind) or {}).get(name)
    divisor = parse_quantity(str(ref.get("divisor") or "1")) or 1
    return str(math.ceil(parse_quantity(amount) / divisor)) if amount else "node allocatable"


def _lower(value: object) -> str:
    return str(bool(value)).lower()


def _toleration(toleration: Dict) -> str:
    text = str(toleration.get("key") or "")
    if toleration.get("value"):
        text += f"={toleration['value']}"
    if toleration.get("effect"):
        text += f":{toleration['effect']}"
    if toleration.get("operator") == "Exists" and not toleration.get("value"):
        text += " op=Exists" if text else "op=Exists"
    if toleration.get("tolerationSeconds") is not None:
        text += f" for {toleration['tolerationSeconds']}s"
    return text


def _spread(spread: Dict) -> str:
    text = f"{spread['topologyKey']}:{spread['whenUnsatisfiable']} when max skew {spread['maxSkew']} is exceeded"
    if spread.get("labelSelector"):
        text += f" for selector {selector_text(spread['labelSelector'])}"
    return text
