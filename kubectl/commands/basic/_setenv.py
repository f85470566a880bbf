"""`set env`: sets environment variables from words, standard input, ConfigMaps and Secrets."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable

from kubectl.api.client import Dict
from kubectl.changes.podtemplate import containers, pod_spec, spec_of
from kubectl.input.targets import named, split_changes
from kubectl.invocation.command import CommandContext, UsageError
from kubectl.invocation.flags import add_bool

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_BAD_NAME = (
    '"%s" is not a valid key name: a valid environment variable name must consist of alphabetic characters, digits, '
    "'_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex "
    "used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')"
)
_REFERENCES = {"ConfigMap": "configMapKeyRef", "Secret": "secretKeyRef"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--containers", default="*", help="a pattern of container names")
    parser.add_argument("-e", "--env", action="append", default=[], metavar="KEY=VALUE", help="set this variable")
    parser.add_argument("--from", dest="source", default="", metavar="TYPE/NAME", help="of a ConfigMap or Secret")
    parser.add_argument("--prefix", default="", help="what names from --from begin with")
    parser.add_argument("--keys", action="append", default=[], help="with --from: these keys only")
    add_bool(parser, "--list", default=False, help="show the environment")
    add_bool(parser, "--overwrite", default=True, help="change variables that are set already")


def plan(context: CommandContext, args: argparse.Namespace) -> tuple[list[str], Callable[[Dict], None]]:
    """The words that name objects, and the change of each object. Raises: UsageError, StatusError."""
    words, values, removed = _split([*args.targets, *args.env])
    if not words and not args.filename:
        raise UsageError("one or more resources must be specified as <resource> <name> or <resource>/<name>")
    keys = {key for item in args.keys for key in item.split(",")}
    variables = [{"name": name, "value": value} for name, value in values.items()]
    if args.source:
        variables += _referred(context, args, keys)

    def change(obj: Dict) -> None:
        if args.list and pod_spec(obj) is None:
            return
        spec = spec_of(obj, args)
        chosen = list(containers(spec, args.containers))
        name = obj["metadata"].get("name", "")
        if not chosen:
            context.warn(f'{obj["kind"]}/{name} does not have any containers matching "{args.containers}"')
            return
        for container in chosen:
            if not args.overwrite:
                _check_overwrite(obj, container, variables)
            _update(container, variables, removed)
            if args.list:
                context.print(f"# {obj['kind']} {name}, container {container['name']}")
                for variable in container.get("env") or ():
                    context.print(_line(variable))

    return words, change


def _split(words: list[str]) -> tuple[list[str], dict[str, str], set[str]]:
    """Splits words into objects, variables to set, and those to remove. Raises: UsageError."""
    targets, changes = split_changes(words, lambda word: "=" in word or word.endswith("-"), "environment")
    values: dict[str, str] = {}
    removed: set[str] = set()
    for word in changes:
        name, equals, value = word.partition("=")
        if equals:
            values[_checked(name)] = value
        elif word == "-":
            lines = (line.strip() for line in sys.stdin)
            for line in lines:
                if "=" in line and not line.startswith("#"):
                    name, _, value = line.partition("=")
                    values[_checked(name)] = value
        else:
            removed.add(word[:-1])
    if removed & values.keys():
        raise UsageError("can not both modify and remove the same environment variable in the same command")
    return targets, values, removed


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(_BAD_NAME % name)
    return name


def _referred(context: CommandContext, args: argparse.Namespace, keys: set[str]) -> list[Dict]:
    """Variables that refer to each key of the source. Raises: UsageError for a source that holds no data."""
    variables = []
    for target in named(context, [args.source]):
        if not target.name:
            raise UsageError("resource(s) were provided, but no name was specified")
        obj = context.api.request("GET", target.path)
        reference = _REFERENCES.get(obj["kind"])
        if reference is None:
            raise UsageError(f"unsupported resource specified in --from: {obj['kind'].lower()}s")
        for key in sorted(obj.get("data") or {}):
            if keys and key not in keys:
                continue
            name = re.sub(r"[-.]", "_", key).upper()
            if name != key:
                context.warn(f"key {key} transferred to {name}")
            source = {reference: {"name": target.name, "key": key}}
            variables.append({"name": args.prefix + name, "valueFrom": source})
    return variables


def _check_overwrite(obj: Dict, container: Dict, variables: list[Dict]) -> None:
    present = {variable["name"]: variable.get("value", "") for variable in container.get("env") or ()}
    for variable in variables:
        name = variable["name"]
        if name in present and present[name] != variable.get("value"):
            where = f"{obj['kind'].lower()}s/{obj['metadata']['name']}"
            raise UsageError(f"{where} '{name}' already has a value ({present[name]}), and --overwrite is false")


def _update(container: Dict, variables: list[Dict], removed: set[str]) -> None:
    env = [variable for variable in container.get("env") or () if variable["name"] not in removed]
    at = {variable["name"]: index for index, variable in enumerate(env)}
    for variable in variables:
        if variable["name"] in at:
            env[at[variable["name"]]] = dict(variable)
        else:
            at[variable["name"]] = len(env)
            env.append(dict(variable))
    container["env"] = env
    if not env:
        del container["env"]


def _line(variable: Dict) -> str:
    """A variable as `--list` shows it; a reference is a comment."""
    name, source = variable["name"], variable.get("valueFrom")
    if not source:
        return f"{name}={variable.get('value', '')}"
    for kind, field in _REFERENCES.items():
        if ref := source.get(field):
            return f"# {name} from {kind.lower()} {ref['name']}, key {ref['key']}"
    if ref := source.get("fieldRef"):
        return f"# {name} from field path {ref['fieldPath']}"
    if ref := source.get("resourceFieldRef"):
        return f"# {name} from resource field {ref['resource']}"
    return f"# {name} from an unknown source"
