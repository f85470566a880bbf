"""`expose`: a Service for the pods of a workload, of a pod, or of another Service."""

from __future__ import annotations

import argparse

from apimachinery.errors import StatusError
from kubectl.api.client import Dict
from kubectl.changes.generated import add_generated, overridden, pairs, printer, submit
from kubectl.input import candidates
from kubectl.input.manifests import add_file_arguments, raise_all, select
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import dry_run_suffix

NAME_LENGTH = 63  # a longer name of what is exposed is cut, for the Service's own must be a DNS label
_NO_SELECTOR = "couldn't retrieve selectors via --selector flag or introspection: "


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE NAME", help="pod, svc, deploy, rs or rc")
    add_file_arguments(parser, "expose")
    parser.add_argument("--name", default="", help="the Service's name, if not that of what is exposed")
    parser.add_argument("--port", default="", help="the Service's port; several with commas; default: those found")
    parser.add_argument("--target-port", default="", help="number or name of the pods' port, if not the same")
    parser.add_argument("--protocol", default="", metavar="TCP|UDP|SCTP", help="default: that of the port found")
    parser.add_argument("--type", default="", metavar="ClusterIP|NodePort|LoadBalancer|ExternalName")
    parser.add_argument("--selector", default="", help="labels of the pods, e.g. app=web; default: those found")
    parser.add_argument("-l", "--labels", default="", help="labels of the Service; default: those of what is exposed")
    parser.add_argument("--session-affinity", default="", metavar="None|ClientIP")
    parser.add_argument("--external-ip", default="", help="an address outside the cluster that leads to it as well")
    parser.add_argument("--load-balancer-ip", default="", help="the address a load balancer shall have")
    parser.add_argument("--cluster-ip", default="", help='its address, or "None" for a headless Service')
    add_generated(parser, "kubectl-expose")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    show = printer(args)
    failed: list[Exception] = []
    for target, obj in select(context, args.targets, args.filename, recursive=args.recursive, failed=failed):
        try:
            if target.kind.kind not in _SOURCES:
                raise UsageError(f"cannot expose a {target.kind.kind}")
            made = submit(context, args, overridden(service_for(obj, target.kind.kind, args), args))
        except (StatusError, UsageError) as error:
            failed.append(error)
            continue
        if show is not None:
            context.out.write(show(made))
        else:
            context.print(f"service/{made['metadata']['name']} exposed{dry_run_suffix(args.dry_run)}")
    raise_all(failed)


def service_for(obj: Dict, kind: str, args: argparse.Namespace) -> Dict:
    """Raises: UsageError where neither flags nor the object say what is needed."""
    selector = pairs(args.selector) if args.selector else _selector(obj, kind)
    found = _ports(obj, kind)
    numbers = args.port.split(",") if args.port else [str(number) for number in found]
    if not numbers:
        raise UsageError("couldn't find port via --port flag or introspection")
    ports = []
    for text in numbers:
        if not text.lstrip("-").isdigit():
            raise UsageError(f'strconv.Atoi: parsing "{text}": invalid syntax')
        number = int(text)
        aim = args.target_port or number
        ports.append({
            "protocol": args.protocol or found.get(number, "TCP"),
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
