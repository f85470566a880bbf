"""`expose`: makes a Service for the pods of a workload, of a pod, or of another Service."""

from __future__ import annotations

import argparse

from kubectl.api.client import Dict
from kubectl.changes.generated import add_generator_flags, overridden, pairs, submit
from kubectl.changes.writing import Report, for_each_selected
from kubectl.input import candidates
from kubectl.input.targets import Target, add_targets
from kubectl.invocation.command import Command, CommandContext, UsageError

NAME_LENGTH = 63  # a longer name of what is exposed is cut, for the Service's own must be a DNS label
_NO_SELECTOR = "couldn't retrieve selectors via --selector flag or introspection: "


def configure(parser: argparse.ArgumentParser) -> None:
    add_targets(parser, "expose", words="TYPE NAME, of a pod, svc, deploy, rs or rc", selector=False)
    parser.add_argument("--name", default="", help="the Service's name, if not that of what is exposed")
    parser.add_argument("--port", default="", help="the Service's port; several with commas; default: those found")
    parser.add_argument("--target-port", default="", help="number or name of the pods' port, if not the same")
    parser.add_argument("--protocol", default="", metavar="TCP|UDP|SCTP", help="default: that of the port found")
    parser.add_argument("--type", default="", metavar="ClusterIP|NodePort|LoadBalancer|ExternalName")
    parser.add_argument(
        "--selector", dest="service_selector", default="", help="labels of the pods, e.g. app=web; default: those found"
    )
    parser.add_argument("-l", "--labels", default="", help="labels of the Service; default: those of what is exposed")
    parser.add_argument("--session-affinity", default="", metavar="None|ClientIP")
    parser.add_argument("--external-ip", default="", help="an address outside the cluster that leads to it as well")
    parser.add_argument("--load-balancer-ip", default="", help="the address a load balancer shall have")
    parser.add_argument("--cluster-ip", default="", help='its address, or "None" for a headless Service')
    add_generator_flags(parser, "kubectl-expose")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    report = Report(context, args)

    def expose(target: Target, obj: Dict) -> None:
        if target.kind.kind not in _SOURCES:
            raise UsageError(f"cannot expose a {target.kind.kind}")
        service = submit(context, args, overridden(service_for(obj, target.kind.kind, args), args))
        report(f"service/{service['metadata']['name']}", service, "exposed")

    for_each_selected(context, args, expose)


def service_for(obj: Dict, kind: str, args: argparse.Namespace) -> Dict:
    """The Service for an object. Raises: UsageError where neither flags nor the object give what it needs."""
    selector = pairs(args.service_selector) if args.service_selector else _selector(obj, kind)
    protocols = _ports(obj, kind)
    numbers = args.port.split(",") if args.port else [str(number) for number in protocols]
    if not numbers:
        raise UsageError("couldn't find port via --port flag or introspection")
    ports = []
    for text in numbers:
        if not text.lstrip("-").isdigit():
            raise UsageError(f'strconv.Atoi: parsing "{text}": invalid syntax')
        number = int(text)
        aim = args.target_port or number
        ports.append({
            "protocol": args.protocol or protocols.get(number, "TCP"),
            "port": number,
            "targetPort": int(aim) if str(aim).isdigit() else aim,
        })  # fmt: skip
    if len(ports) > 1:
        ports = [{"name": f"port-{i}", **port} for i, port in enumerate(ports, 1)]
    spec: Dict = {"ports": ports, "selector": selector}
    spec |= {"type": args.type} if args.type else {}
    spec |= {"externalIPs": [args.external_ip]} if args.external_ip else {}
    spec |= {"loadBalancerIP": args.load_balancer_ip} if args.load_balancer_ip and args.type == "LoadBalancer" else {}
    if args.session_affinity not in ("", "None", "ClientIP"):
        raise UsageError(f"unknown session affinity: {args.session_affinity}")
    spec |= {"sessionAffinity": args.session_affinity} if args.session_affinity else {}
    spec |= {"clusterIP": args.cluster_ip} if args.cluster_ip else {}
    labels = pairs(args.labels) if args.labels else obj["metadata"].get("labels")
    meta = {"name": args.name or obj["metadata"]["name"][:NAME_LENGTH], **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec, "status": {"loadBalancer": {}}}


def _selector(obj: Dict, kind: str) -> Dict:
    if kind == "Pod":
        labels: Dict = obj["metadata"].get("labels") or {}
        if not labels:
            raise UsageError(_NO_SELECTOR + "the pod has no labels and cannot be exposed")
        return labels
    selector: Dict = obj["spec"].get("selector") or {}
    if kind in ("Service", "ReplicationController"):
        if not selector:
            raise UsageError(_NO_SELECTOR + f"invalid {kind.lower()}: no selectors, therefore cannot be exposed")
        return selector
    if selector.get("matchExpressions"):
        raise UsageError(_NO_SELECTOR + "couldn't convert expressions: only matchLabels can be a Service's selector")
    return dict(selector.get("matchLabels") or {})


def _ports(obj: Dict, kind: str) -> dict[int, str]:
    """Port numbers and their protocols, in their order."""
    spec = obj["spec"]
    if kind == "Service":
        return {port["port"]: port.get("protocol") or "TCP" for port in spec.get("ports") or ()}
    if kind != "Pod":
        spec = spec["template"]["spec"]
    return {
        port["containerPort"]: port.get("protocol") or "TCP"
        for container in spec["containers"]
        for port in container.get("ports") or ()
    }


_SOURCES = {"Pod", "Service", "ReplicationController", "Deployment", "ReplicaSet"}

COMMAND = Command(
    "expose",
    "Make a Service for a workload, a pod or another Service",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  # The Deployment's pods behind port 80, whose containers listen on 8080
  mini-kubectl expose deployment web --port=80 --target-port=8080
  # On a port of every node, under another name
  mini-kubectl expose deployment web --port=80 --type=NodePort --name=front
  # Look at the Service without making it
  mini-kubectl expose pod web --port=80 --dry-run=client -o yaml""",
)
