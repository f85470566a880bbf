"""`create`: new objects from manifests, or of common kinds from flags."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from apimachinery.errors import StatusError
from apimachinery.selectors import parse_label_selector
from kubeapi.core.service.headless import HEADLESS
from kubectl.api.client import Dict
from kubectl.changes.writing import (
    Report,
    add_field_manager,
    add_validate,
    need_files,
    send_raw,
    with_last_applied,
    write_params,
)
from kubectl.commands.basic._hashing import content_hash
from kubectl.commands.basic._token import add_token, request_token
from kubectl.input.manifests import Manifest, add_file_arguments, raise_all, raw_text, read_manifests, resolve
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError, blaming
from kubectl.invocation.flags import add_bool, add_dry_run, add_output, add_selector

Build = Callable[[argparse.Namespace], Dict]

GENERATED = "the command line"


def configure(parser: argparse.ArgumentParser) -> None:
    add_file_arguments(parser, "create")
    add_selector(parser)
    parser.add_argument("--edit", action="store_true", help="edit the objects before they are created")
    parser.add_argument("--raw", default="", metavar="PATH", help="a path to POST the file to as it is")
    _common(parser)
    kinds = parser.add_subparsers(title="kinds", metavar="KIND")
    for name, aliases, help_text, add, build in _GENERATORS:
        sub = kinds.add_parser(name, aliases=aliases, help=help_text, description=help_text + ".")
        add(sub)
        _common(sub)
        sub.set_defaults(build=build)
    token = kinds.add_parser("token", help="A token of a ServiceAccount")
    add_token(token)
    add_output(token)
    token.set_defaults(request=request_token)


def _common(parser: argparse.ArgumentParser) -> None:
    add_dry_run(parser)
    add_output(parser)
    add_field_manager(parser, "kubectl-create")
    add_validate(parser)
    add_bool(parser, "--save-config", default=False, help="keep the manifest for later applies")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    build: Build | None = getattr(args, "build", None)
    if request := getattr(args, "request", None):
        request(context, args)
        return
    if build is not None:
        manifests = [Manifest(build(args), GENERATED)]
    else:
        need_files(args)
        if args.raw:
            context.out.write(send_raw(context, "POST", args.raw, raw_text(args.filename)))
            return
        manifests = read_manifests(args.filename, "create", recursive=args.recursive)
        wanted = parse_label_selector(args.selector)
        manifests = [m for m in manifests if wanted.matches(m.obj.get("metadata", {}).get("labels") or {})]
        if not manifests:
            raise UsageError("no objects passed to create")
        if args.edit:
            from kubectl.commands.basic.edit import edit_before_creation

            edit_before_creation(context, args, manifests)
            return
    report = Report(context, args, documents=True)
    failed: list[Exception] = []
    for manifest in manifests:
        try:
            _create(context, manifest, args, report)
        except (StatusError, UsageError) as error:
            failed.append(error)
    raise_all(failed)


def _create(context: CommandContext, manifest: Manifest, args: argparse.Namespace, report: Report) -> None:
    kind, namespace = resolve(context, manifest)
    shown = context.given_namespace if manifest.source == GENERATED and kind.namespaced else namespace
    obj = with_last_applied(manifest.obj, shown) if args.save_config else _with_namespace(manifest.obj, shown)
    if args.dry_run != "client":
        with _blaming(manifest):
            obj = context.api.request("POST", kind.path(namespace), params=write_params(args), body=obj)
    report(f"{kind.display}/{obj['metadata'].get('name') or '<unknown>'}", obj, "created")


def _blaming(manifest: Manifest) -> AbstractContextManager[None]:
    if manifest.source != GENERATED:
        return blaming("creating", manifest.source)
    kind = str(manifest.obj["kind"])
    if kind == "Service":
        kind = f"{manifest.obj['spec']['type']} service"
    elif kind == "Namespace":
        return nullcontext()
    else:
        kind = kind.lower()
    return _failing_to_create(kind if kind == "secret" else f"{kind}:")


@contextmanager
def _failing_to_create(what: str) -> Iterator[None]:
    try:
        yield
    except StatusError as error:
        raise UsageError(f"failed to create {what} {error.message}") from error


def _with_namespace(obj: Dict, namespace: str) -> Dict:
    return {**obj, "metadata": {**obj.get("metadata", {}), "namespace": namespace}} if namespace else obj


def _object(api_version: str, kind: str, name: str, **fields: object) -> Dict:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")


def _namespace(args: argparse.Namespace) -> Dict:
    return _object("v1", "Namespace", args.name, spec={}, status={})


def _add_deployment(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--image", action="append", required=True, help="image of a container; may be repeated")
    parser.add_argument("-r", "--replicas", type=int, default=1, help="how many pods")
    parser.add_argument("--port", type=int, help="port the container listens on")
    parser.set_defaults(words=[])


def _deployment(args: argparse.Namespace) -> Dict:
    labels = {"app": args.name}
    containers: list[Dict] = [{"name": _container_name(image), "image": image, "resources": {}} for image in args.image]
    if args.words:
        if len(containers) > 1:
            raise UsageError("cannot specify multiple --image options and command")
        containers[0]["command"] = args.words
    if args.port:
        containers[0]["ports"] = [{"containerPort": args.port}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    selector = {"matchLabels": labels}
    spec = {"replicas": args.replicas, "selector": selector, "strategy": {}, "template": template}
    obj = _object("apps/v1", "Deployment", args.name, spec=spec, status={})
    obj["metadata"]["labels"] = labels
    return obj


def _container_name(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0].replace("_", "-")


def _add_data(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--from-literal", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--from-file", action="append", default=[], metavar="PATH", help="a file or a folder, or KEY=FILE"
    )
    parser.add_argument("--from-env-file", action="append", default=[], metavar="FILE", help="lines of KEY=VALUE")
    _add_hash(parser)


def _add_hash(parser: argparse.ArgumentParser) -> None:
    add_bool(parser, "--append-hash", default=False, help="end the name with a hash of the content")


def _hashed(args: argparse.Namespace, obj: Dict) -> Dict:
    if args.append_hash:
        obj["metadata"]["name"] += "-" + content_hash({"data": {}, **obj}, args.name)
    return obj


def _collect(args: argparse.Namespace, kind: str) -> dict[str, bytes]:
    data: dict[str, bytes] = {}
    where = f'Data for {kind} "{args.name}"'

    def put(key: str, value: bytes) -> None:
        if key in data:
            raise UsageError(f'cannot add key "{key}", another key by that name already exists in {where}')
        data[key] = value

    for item in args.from_literal:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(f"invalid literal source {item}, expected key=value")
        put(key, value.encode())
    for item in args.from_file:
        key, equals, name = item.partition("=")
        path = Path(name if equals else item)
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() and not equals else [path]
        for file in files:
            put(key if equals else file.name, _read(file))
    for item in args.from_env_file:
        for line in _read(Path(item)).decode().splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                key, _, value = line.lstrip().partition("=")
                put(key, value.encode())
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"error reading {path}: {str(error.strerror).lower()}") from error


def _read_pem(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read file {path}, open {path}: {str(error.strerror).lower()}") from error


def _configmap(args: argparse.Namespace) -> Dict:
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, value in _collect(args, "ConfigMap").items():
        try:
            text[key] = value.decode()
        except UnicodeDecodeError:
            binary[key] = base64.b64encode(value).decode()
    fields = ({"data": text} if text else {}) | ({"binaryData": binary} if binary else {})
    return _hashed(args, _object("v1", "ConfigMap", args.name, **fields))


def _secret(name: str, kind: str, data: dict[str, bytes]) -> Dict:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return _object("v1", "Secret", name, **({"type": kind} if kind else {}), **({"data": encoded} if encoded else {}))


def _add_secret(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(metavar="TYPE", required=True)
    generic = kinds.add_parser("generic", help="from literals and files")
    _add_data(generic)
    generic.add_argument("--type", default="", help="instead of Opaque")
    generic.set_defaults(secret=lambda args: _secret(args.name, args.type, _collect(args, "Secret")))
    tls = kinds.add_parser("tls", help="a certificate and its key")
    _name(tls)
    tls.add_argument("--cert", required=True, metavar="FILE")
    tls.add_argument("--key", required=True, metavar="FILE")
    tls.set_defaults(
        secret=lambda args: _secret(
            args.name, "kubernetes.io/tls", {"tls.crt": _read_pem(args.cert), "tls.key": _read_pem(args.key)}
        )
    )
    registry = kinds.add_parser("docker-registry", help="credentials for pulling images")
    _name(registry)
    registry.add_argument("--docker-server", default="https://index.docker.io/v1/")
    registry.add_argument("--docker-username", required=True)
    registry.add_argument("--docker-password", required=True)
    registry.add_argument("--docker-email", default="")
    registry.set_defaults(secret=_registry_secret)
    for sub in (tls, registry):
        _add_hash(sub)
    for sub in (generic, tls, registry):
        _common(sub)


def _registry_secret(args: argparse.Namespace) -> Dict:
    entry = {"username": args.docker_username, "password": args.docker_password}
    if args.docker_email:
        entry["email"] = args.docker_email
    entry["auth"] = base64.b64encode(f"{args.docker_username}:{args.docker_password}".encode()).decode()
    text = json.dumps({"auths": {args.docker_server: entry}}, separators=(",", ":"))
    return _secret(args.name, "kubernetes.io/dockerconfigjson", {".dockerconfigjson": text.encode()})


def _add_service(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(metavar="TYPE", required=True)
    for name, kind in (("clusterip", "ClusterIP"), ("nodeport", "NodePort"), ("loadbalancer", "LoadBalancer")):
        sub = kinds.add_parser(name, help=f"a Service of type {kind} for pods labelled app=NAME")
        _name(sub)
        sub.add_argument("--tcp", action="append", default=[], metavar="PORT:TARGET")
        if name == "nodeport":
            sub.add_argument("--node-port", type=int)
        if name == "clusterip":
            sub.add_argument("--clusterip", help='an address of its own choice, or "None" for a headless Service')
        sub.set_defaults(service_type=kind)
        _common(sub)
    external = kinds.add_parser("externalname", help="a Service that is an alias of a DNS name")
    _name(external)
    external.add_argument("--external-name", required=True)
    external.add_argument("--tcp", action="append", default=[], metavar="PORT:TARGET")
    external.set_defaults(service_type="ExternalName")
    _common(external)


def _service(args: argparse.Namespace) -> Dict:
    headless = getattr(args, "clusterip", None) == HEADLESS
    if not args.tcp and not headless and args.service_type != "ExternalName":
        raise UsageError("at least one tcp port specifier must be provided")
    ports: list[Dict] = []
    for item in args.tcp:
        port, _, target = item.partition(":")
        if not port.isdigit():
            raise UsageError(f"invalid port {item!r}, expected PORT or PORT:TARGET")
        number: int | str = int(target) if target.isdigit() else target or int(port)
        ports.append({"name": item.replace(":", "-"), "port": int(port), "protocol": "TCP", "targetPort": number})
    spec: Dict = {"type": args.service_type, "selector": {"app": args.name}}
    if ports:
        spec["ports"] = ports
    if getattr(args, "node_port", None):
        ports[0]["nodePort"] = args.node_port
    if getattr(args, "clusterip", None):
        spec["clusterIP"] = args.clusterip
    if args.service_type == "ExternalName":
        spec["externalName"] = args.external_name
    obj = _object("v1", "Service", args.name, spec=spec, status={"loadBalancer": {}})
    obj["metadata"]["labels"] = {"app": args.name}
    return obj


def _add_priority_class(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--value", type=int, default=0, help="pods with a higher one come first")
    add_bool(parser, "--global-default", default=False, help="the class of pods that name none")
    parser.add_argument("--description", default="", help="when to use it")
    parser.add_argument("--preemption-policy", default="PreemptLowerPriority", metavar="PreemptLowerPriority|Never")


def _priority_class(args: argparse.Namespace) -> Dict:
    fields: Dict = {"value": args.value, "preemptionPolicy": args.preemption_policy}
    if args.global_default:
        fields["globalDefault"] = True
    if args.description:
        fields["description"] = args.description
    return _object("scheduling.k8s.io/v1", "PriorityClass", args.name, **fields)


_Generator = tuple[str, tuple[str, ...], str, Callable[[argparse.ArgumentParser], None], Build]
_GENERATORS: tuple[_Generator, ...] = (
    ("configmap", ("cm",), "A ConfigMap from literals and files", _add_data, _configmap),
    ("deployment", ("deploy",), "A Deployment of an image", _add_deployment, _deployment),
    ("namespace", ("ns",), "A namespace", _name, _namespace),
    ("secret", (), "A Secret: generic, tls or docker-registry", _add_secret, lambda a: _hashed(a, a.secret(a))),
    ("service", ("svc",), "A Service: clusterip, nodeport, loadbalancer, externalname", _add_service, _service),
    ("serviceaccount", ("sa",), "A ServiceAccount", _name, lambda args: _object("v1", "ServiceAccount", args.name)),
    ("priorityclass", ("pc",), "A PriorityClass", _add_priority_class, _priority_class),
)

COMMAND = Command(
    "create",
    "Create objects from manifests or flags",
    configure,
    run,
    examples="""\
  mini-kubectl create -f pod.yaml
  mini-kubectl create deployment web --image=nginx:1.27 --replicas=3
  mini-kubectl create configmap settings --from-literal=mode=fast --from-file=config.ini
  mini-kubectl create service nodeport web --tcp=80:8080
  mini-kubectl create deployment web --image=nginx --dry-run=client -o yaml > web.yaml""",
)
