"""`explain`: shows the meaning of fields, from the OpenAPI that the server publishes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from kubectl.api.client import Dict
from kubectl.api.discovery import ResourceType, UnknownType
from kubectl.input import candidates
from kubectl.invocation.command import (
    NO_FILES,
    NO_SPACE,
    Candidates,
    Command,
    CommandContext,
    Cursor,
    ExitCode,
    UsageError,
)
from kubectl.invocation.flags import add_bool

WIDTH = 76  # of a description, beside its indentation
SHOWN_VALUES = 4  # of an enumeration, in the list of fields
_INDENT = "    "
_FIELD = re.compile(r"[\w$-]+")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="TYPE[.FIELD...]", help="e.g. pod, deployment.spec.strategy")
    add_bool(parser, "--recursive", default=False, help="the fields of fields too, by name and type only")
    parser.add_argument("--api-version", default="", metavar="GROUP/VERSION", help="of this version of the kind")
    parser.add_argument("--output", default="plaintext", metavar="plaintext", help="how to show it: plaintext only")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if not args.words:
        raise UsageError(
            "You must specify the type of resource to explain. "
            'Use "mini-kubectl api-resources" for a complete list of supported resources.'
        )
    if len(args.words) > 1:
        raise UsageError("We accept only this format: explain RESOURCE")
    if args.output != "plaintext":
        raise UsageError(f"unrecognized format: {args.output}")
    kind, fields = _subject(context, args.words[0], args.api_version)
    schemas = KindSchemas(_document(context, kind))
    context.out.write(_head(kind))
    context.out.write(page(schemas, schemas.of_kind(kind), fields, recursive=args.recursive))


def _subject(context: CommandContext, word: str, api_version: str) -> tuple[ResourceType, list[str]]:
    """Splits "deployments.apps.spec.replicas" into the kind "deployments.apps" and fields.

    Raises: UsageError, ExitCode.
    """
    name, *rest = word.split(".")
    try:
        kind = context.discovery.find(name)
    except UnknownType as error:
        if not name:
            raise UsageError("invalid jsonpath syntax, first node must be field node") from error
        context.say(str(error))
        raise ExitCode(1) from error
    if api_version:
        versions = [candidate for candidate in context.discovery.types if candidate.api_version == api_version]
        if not versions:
            raise UsageError(f'couldn\'t find resource for "/{api_version}, Resource={kind.plural}"')
        same = next((candidate for candidate in versions if candidate.plural == kind.plural), None)
        if same is None:
            raise UsageError(f"GVR (/{api_version}, Resource={kind.plural}) not found in OpenAPI schema")
        kind = same
    for count in range(len(rest), 0, -1):
        try:
            candidate = context.discovery.find(".".join([name, *rest[:count]]))
        except UnknownType:
            continue
        if candidate.group == ".".join(rest[:count]):
            kind, rest = candidate, rest[count:]
            break
    fields = rest[:-1] if rest and not rest[-1] else rest
    if not all(map(_FIELD.fullmatch, fields)):
        raise UsageError("invalid jsonpath syntax, first node must be field node")
    return kind, fields


def _document(context: CommandContext, kind: ResourceType) -> Dict:
    path = f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"
    places = context.api.request("GET", "/openapi/v3")["paths"]
    if path not in places:
        raise UsageError(f'couldn\'t find resource for "{kind.api_version}, Resource={kind.plural}"')
    document: Dict = context.api.request("GET", places[path]["serverRelativeURL"])
    return document


class KindSchemas:
    """The schemas of one document."""

    def __init__(self, document: Dict) -> None:
        self._all: Dict = document["components"]["schemas"]

    def of_kind(self, kind: ResourceType) -> Dict:
        """The schema of a kind. Raises: UsageError."""
        identity = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        for schema in self._all.values():
            if identity in schema.get("x-kubernetes-group-version-kind", ()):
                return dict(schema)
        raise UsageError(f"GVR ({kind.api_version}, Resource={kind.plural}) not found in OpenAPI schema")

    def inner(self, schema: Dict) -> tuple[Dict | None, str]:
        """The schema inside a reference, a list or a map, and the name that a reference has."""
        if "items" in schema:
            return schema["items"], ""
        if isinstance(schema.get("additionalProperties"), dict):
            return schema["additionalProperties"], ""
        if len(schema.get("allOf", ())) == 1 and "properties" not in schema:
            return schema["allOf"][0], ""
        if reference := schema.get("$ref"):
            name = reference.rpartition("/")[2]
            return self._all[name], name
        return None, ""

    def chain(self, schema: Dict) -> Iterator[tuple[Dict, str]]:
        """The schema and all that `inner` leads to, each with the name it was referred to by."""
        step: Dict | None = schema
        name = ""
        while step is not None:
            yield step, name
            step, name = self.inner(step)

    def properties(self, schema: Dict) -> tuple[Dict, list[str]]:
        """The fields by name, and the names of those that are required."""
        last = [step for step, _ in self.chain(schema)][-1]
        return last.get("properties") or {}, last.get("required") or []

    def type_of(self, schema: Dict) -> str:
        """The name of a type: "[]Container", "map[string]string", "Object"."""
        step, name = self.inner(schema)
        if step is None:
            kind = schema.get("type", "object")
            return "Object" if kind == "object" else str(kind)
        if name:
            plain = step.get("type") not in (None, "object")
            return self.type_of(step) if plain else name.rpartition(".")[2]
        before = "[]" if "items" in schema else "map[string]" if "additionalProperties" in schema else ""
        return before + self.type_of(step)


def _head(kind: ResourceType) -> str:
    group = f"GROUP:      {kind.group}\n" if kind.group else ""
    return f"{group}KIND:       {kind.kind}\nVERSION:    {kind.version}\n\n"


def page(schemas: KindSchemas, schema: Dict, fields: list[str], *, recursive: bool) -> str:
    """The description of a field. Raises: UsageError for a field that does not exist."""
    for name in fields:
        properties, _ = schemas.properties(schema)
        if name not in properties:
            raise UsageError(f'field "{name}" does not exist')
        schema = properties[name]
    text = ""
    if fields:
        values = "ENUM:\n" + "".join(f"{_INDENT}{value}\n" for value in schema["enum"]) if "enum" in schema else "\n"
        text = f"FIELD: {fields[-1]} <{schemas.type_of(schema)}>\n{values}\n"
    descriptions = [step["description"] for step, _ in schemas.chain(schema) if step.get("description")]
    description = (
        indented("".join(wrapped(one, WIDTH) + "\n" for one in descriptions)) if descriptions else _INDENT + "<empty>"
    )
    text += f"DESCRIPTION:\n{description}\n"
    properties, _ = schemas.properties(schema)
    if properties:
        parents = tuple(name for _, name in schemas.chain(schema) if name)
        lines = _names(schemas, schema, "  ", parents) if recursive else _details(schemas, schema)
        text += "FIELDS:\n" + "".join(lines)
    return text + "\n"


def _details(schemas: KindSchemas, schema: Dict) -> Iterator[str]:
    properties, required = schemas.properties(schema)
    for name, field in sorted(properties.items()):
        yield _name(schemas, name, field, "  ", required=name in required)
        yield indented(wrapped(field.get("description") or "<no description>", WIDTH)) + "\n\n"


def _names(schemas: KindSchemas, schema: Dict, indent: str, parents: tuple[str, ...]) -> Iterator[str]:
    """Yields a tree of names. A type that is among its `parents` is not followed again."""
    properties, required = schemas.properties(schema)
    for name, field in sorted(properties.items()):
        yield _name(schemas, name, field, indent, required=name in required)
        types = tuple(type_name for _, type_name in schemas.chain(field) if type_name)
        if not set(types) & set(parents):
            yield from _names(schemas, field, indent + "  ", parents + types)


def _name(schemas: KindSchemas, name: str, field: Dict, indent: str, *, required: bool) -> str:
    line = f"{indent}{name}\t<{schemas.type_of(field)}>{' -required-' if required else ''}\n"
    values = field.get("enum")
    if not values:
        return line
    more = ", ...." if len(values) > SHOWN_VALUES else ""
    return line + f"{indent}enum: {', '.join(map(str, values[:SHOWN_VALUES]))}{more}\n"


def indented(text: str) -> str:
    return _INDENT + text.replace("\n", "\n" + _INDENT)


def wrapped(text: str, width: int) -> str:
    """Breaks lines behind at most `width` characters where words allow it, and keeps present breaks."""
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    result, at, gap = "", 0, ""
    for token in re.findall(r"\s+|\S+", line):
        if token.isspace():
            gap = token
            continue
        # a word wider than a line is not broken, but gets a line of its own
        if at + len(gap) + min(len(token), width - 1) > width:
            result, at, gap = result + "\n", 0, ""
        result += gap + token
        at += len(gap) + len(token)
        gap = ""
    return result + gap if at + len(gap) <= width else result


def _complete(cursor: Cursor) -> Candidates:
    """Completes a type, behind which fields may follow."""
    return Candidates(candidates.types(cursor.context), NO_FILES | NO_SPACE)


COMMAND = Command(
    "explain",
    "Describe the fields of a kind",
    configure,
    run,
    completes=_complete,
    examples="""\
  # What a pod is made of
  mini-kubectl explain pod
  # One of its fields
  mini-kubectl explain pod.spec.containers.livenessProbe
  # All fields below it, as a tree of names and types
  mini-kubectl explain deployment.spec.strategy --recursive
  # The same kind in another version
  mini-kubectl explain event --api-version=events.k8s.io/v1""",
)
