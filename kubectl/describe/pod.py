"""Pods, and the pod templates of workloads."""

from __future__ import annotations

from typing import Any

from kubectl.command import Context
from kubectl.describe.generic import conditions, controlled_by, events
from kubectl.describe.writer import Writer, when

Dict = dict[str, Any]


def describe_pod(context: Context, obj: Dict) -> str:
    writer = Writer()
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    writer.field("Name", meta["name"])
    writer.field("Namespace", meta["namespace"])
    writer.field("Priority", spec.get("priority", 0))
    writer.field("Service Account", spec.get("serviceAccountName", "default"))
    writer.field("Node", f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else "<none>")
    if status.get("startTime"):
        writer.field("Start Time", when(status["startTime"]))
    writer.mapping("Labels", meta.get("labels"))
    writer.mapping("Annotations", meta.get("annotations"), ": ")
    if meta.get("deletionTimestamp"):
        writer.field("Status", f"Terminating (since {when(meta['deletionTimestamp'])})")
        writer.field("Termination Grace Period", f"{meta.get('deletionGracePeriodSeconds', 0)}s")
    else:
        writer.field("Status", status.get("phase"))
    for label, key in (("Reason", "reason"), ("Message", "message")):
        if status.get(key):
            writer.field(label, status[key])
    writer.field("IP", status.get("podIP", ""))
    ips = status.get("podIPs") or []
    writer.items("IPs", [f"IP: {ip['ip']}" for ip in ips])
    controlled_by(writer, obj)
    for label, field in (("Init Containers", "initContainers"), ("Containers", "containers")):
        if spec.get(field):
            states = {s["name"]: s for s in status.get(field[:-1] + "Statuses") or ()}
            writer.heading(label)
            for container in spec[field]:
                _container(writer, container, states.get(container["name"]))
    conditions(writer, obj, reasons=False)
    _volumes(writer, spec)
    writer.field("QoS Class", status.get("qosClass"))
    writer.mapping("Node-Selectors", spec.get("nodeSelector"))
    writer.items("Tolerations", [_toleration(t) for t in spec.get("tolerations") or ()])
    events(context, writer, obj)
    return writer.text()


def describe_template(template: Dict) -> str:
    """The pod template part of a workload's description."""
    writer = Writer()
    template_lines(writer, template)
    return writer.text()


def template_lines(writer: Writer, template: Dict) -> None:
    writer.mapping("Labels", template.get("metadata", {}).get("labels"), level=1)
    if annotations := template.get("metadata", {}).get("annotations"):
        writer.mapping("Annotations", annotations, ": ", level=1)
    spec = template["spec"]
    for label, field in (("Init Containers", "initContainers"), ("Containers", "containers")):
        if spec.get(field):
            writer.heading(label, 1)
            for container in spec[field]:
                _container(writer, container, None, 2)
    _volumes(writer, spec, 1)
    writer.mapping("Node-Selectors", spec.get("nodeSelector"), level=1)
    writer.items("Tolerations", [_toleration(t) for t in spec.get("tolerations") or ()], 1)


def _container(writer: Writer, container: Dict, status: Dict | None, level: int = 1) -> None:
    writer.heading(container["name"], level)
    inner = level + 1
    if status is not None:
        writer.field("Container ID", status.get("containerID", ""), inner)
    writer.field("Image", container.get("image"), inner)
    if status is not None:
        writer.field("Image ID", status.get("imageID", ""), inner)
    ports = [f"{p['containerPort']}/{p.get('protocol', 'TCP')}" for p in container.get("ports") or ()]
    writer.field("Port" if len(ports) < 2 else "Ports", ", ".join(ports), inner)
    for label, key in (("Command", "command"), ("Args", "args")):
        if container.get(key):
            writer.heading(label, inner)
            for word in container[key]:
                writer.line(word, inner + 1)
    if status is not None:
        _state(writer, "State", status.get("state") or {}, inner)
        if status.get("lastState"):
            _state(writer, "Last State", status["lastState"], inner)
        writer.field("Ready", status.get("ready", False), inner)
        writer.field("Restart Count", status.get("restartCount", 0), inner)
    for label, key in (("Limits", "limits"), ("Requests", "requests")):
        if amounts := (container.get("resources") or {}).get(key):
            writer.heading(label, inner)
            for name, amount in sorted(amounts.items()):
                writer.field(name, amount, inner + 1)
    for label, key in (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")):
        if container.get(key):
            writer.field(label, _probe(container[key]), inner)
    writer.items("Environment", [_variable(v) for v in container.get("env") or ()], inner)
    mounts = [
        f"{m['mountPath']} from {m['name']} ({'ro' if m.get('readOnly') else 'rw'})"
        for m in container.get("volumeMounts") or ()
    ]
    writer.items("Mounts", mounts, inner)


def _state(writer: Writer, label: str, state: Dict, level: int) -> None:
    name = next(iter(state), "waiting")
    detail = state.get(name) or {}
    writer.field(label, name.capitalize(), level)
    for key in ("reason", "message", "exitCode", "signal"):
        if key in detail:
            writer.field("Exit Code" if key == "exitCode" else key.capitalize(), detail[key], level + 1)
    for key in ("startedAt", "finishedAt"):
        if detail.get(key):
            writer.field("Started" if key == "startedAt" else "Finished", when(detail[key]), level + 1)


def _probe(probe: Dict) -> str:
    if http := probe.get("httpGet"):
        scheme, host, path = http.get("scheme", "HTTP").lower(), http.get("host", ""), http.get("path", "/")
        how = f"http-get {scheme}://{host}:{http['port']}{path}"
    elif tcp := probe.get("tcpSocket"):
        how = f"tcp-socket {tcp.get('host', '')}:{tcp['port']}"
    elif command := probe.get("exec"):
        how = f"exec [{' '.join(command.get('command') or ())}]"
    else:
        how = f"grpc {(probe.get('grpc') or {}).get('port', '')}"
    numbers = (
        f"delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )
    return f"{how} {numbers}"


def _variable(variable: Dict) -> str:
    source = variable.get("valueFrom") or {}
    if "configMapKeyRef" in source:
        ref = source["configMapKeyRef"]
        return f"{variable['name']}: <set to the key '{ref['key']}' of config map '{ref['name']}'>"
    if "secretKeyRef" in source:
        ref = source["secretKeyRef"]
        return f"{variable['name']}: <set to the key '{ref['key']}' in secret '{ref['name']}'>"
    if "fieldRef" in source:
        return f"{variable['name']}: ({source['fieldRef'].get('apiVersion', 'v1')}:{source['fieldRef']['fieldPath']})"
    if "resourceFieldRef" in source:
        return f"{variable['name']}: ({source['resourceFieldRef']['resource']})"
    return f"{variable['name']}: {variable.get('value', '')}"


def _volumes(writer: Writer, spec: Dict, level: int = 0) -> None:
    volumes = spec.get("volumes") or []
    if not volumes:
        writer.field("Volumes", "<none>", level)
        return
    writer.heading("Volumes", level)
    for volume in volumes:
        writer.heading(volume["name"], level + 1)
        kind = next((key for key in volume if key != "name"), "emptyDir")
        writer.field("Type", kind[:1].upper() + kind[1:], level + 2)
        for key, value in (volume.get(kind) or {}).items():
            if not isinstance(value, dict | list):
                writer.field(key[:1].upper() + key[1:], value, level + 2)


def _toleration(toleration: Dict) -> str:
    text = str(toleration.get("key", ""))
    if toleration.get("value"):
        text += f"={toleration['value']}"
    if toleration.get("effect"):
        text += f":{toleration['effect']}"
    if toleration.get("operator") == "Exists":
        text += f" op={toleration['operator']}"
    if toleration.get("tolerationSeconds") is not None:
        text += f" for {toleration['tolerationSeconds']}s"
    return text
