"""Reads and writes YAML as Kubernetes does: YAML 1.1 with the types of JSON alone (a date stays text).

All programs read through it, so that a text means the same in a manifest, a request and a kubeconfig. Go's reader,
which kubectl and the real API server share, differs from PyYAML in ways that matter: `y` and `n` are booleans, `1e3` is
a number, `12:30` is not a number, `=` is text, and a text in double quotes may have an apostrophe behind a backslash.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml: slower, the same result
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_UNKNOWN_ESCAPE = "found unknown escape character"


class _EscapeLoader(yaml.SafeLoader):
    """Knows the escape that libyaml refuses. Ten times slower: only for the few texts that have it."""

    ESCAPE_REPLACEMENTS = {**yaml.SafeLoader.ESCAPE_REPLACEMENTS, "'": "'"}  # type: ignore[misc]


MAX_NODES = 500_000  # of one document; an alias counts for all that it stands for
MAX_DEPTH = 100

_TAG = "tag:yaml.org,2002:"
_MERGE, _NO_KEY = object(), object()


class YamlError(ValueError):
    """The text is not YAML, or holds what JSON cannot: "line 3: did not find expected key"."""


class RepeatedKey(NamedTuple):
    """A key that one map has twice; the last one counts."""

    line: int
    key: str

    def __str__(self) -> str:
        return f"line {self.line}: key {json.dumps(self.key)} already set in map"


class Document(NamedTuple):
    value: Any
    repeated_keys: list[RepeatedKey]


def read_documents(text: str | bytes) -> Iterator[Document]:
    """Yields every document of the text; the value of an empty one is None.

    Raises: YamlError.
    """
    count = 0
    try:
        try:
            for document in _read(_Loader(text)):
                count += 1
                yield document
        except yaml.YAMLError as error:
            if getattr(error, "problem", "") != _UNKNOWN_ESCAPE:
                raise
            yield from islice(_read(_EscapeLoader(text)), count, None)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError(_wording(error)) from None


def read_document(text: str | bytes) -> Document:
    """Returns the only document of the text; the value of an empty text is None.

    Raises: YamlError, also for a second document.
    """
    documents = read_documents(text)
    document = next(documents, Document(None, []))
    if next(documents, None) is not None:
        raise YamlError("expected a single document in the stream")
    return document


def to_yaml(value: object, width: int = 2**30) -> str:
    """Writes block style with sorted keys, and text of several lines as a block; lines break at spaces behind `width`
    characters."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=width)
    return text[:-4] if text.endswith("\n...\n") else text  # the mark of an end that trailing line breaks leave open


def _read(loader: Any) -> Iterator[Document]:
    builder = _Builder()
    try:
        while (event := loader.get_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                builder = _Builder()
            elif isinstance(event, yaml.DocumentEndEvent):
                yield Document(builder.document, builder.repeated_keys)
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                builder.add(event)
    finally:
        loader.dispose()


class _Builder:
    """One document, built from the parser's events: nothing here or in libyaml recurses, whatever the depth."""

    def __init__(self) -> None:
        self.document: Any = None
        self.repeated_keys: list[RepeatedKey] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: list[_Collection] = []
        self._nodes = 0

    def add(self, event: Any) -> None:
        """Raises: YamlError."""
        if isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
            return
        value, nodes = self._end(event)
        if self._open:
            self._open[-1].add(value, nodes, event, self)
        else:
            self.document = value

    def count(self, nodes: int, event: Any) -> None:
        """Keeps a small text from becoming an unbounded object."""
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _error(event, "document contains excessive aliasing")

    def _begin(self, event: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _error(event, "exceeded max depth")
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in (None, "!", _TAG + ("seq" if is_list else "map")):
            raise _error(event, f"unsupported tag {event.tag[:100]}")
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        self._open.append(_Collection(event.anchor, [] if is_list else None))

    def _end(self, event: Any) -> tuple[Any, int]:
        """Returns (the value that the event completes, the number of its nodes)."""
        if isinstance(event, yaml.AliasEvent):
            value, nodes = self._alias(event)
            self.count(nodes, event)
            return value, nodes
        self.count(1, event)
        if isinstance(event, yaml.ScalarEvent):
            value, nodes, anchor = _scalar(event), 1, event.anchor
        else:
            collection = self._open.pop()
            value, nodes, anchor = collection.value, collection.nodes, collection.anchor
        if anchor:
            self._anchors[anchor] = value, nodes
        return value, nodes

    def _alias(self, event: Any) -> tuple[Any, int]:
        name = str(event.anchor)
        if name in self._anchors:
            return self._anchors[name]
        if any(collection.anchor == name for collection in self._open):
            raise _error(event, f"not representable as JSON: anchor '{name[:100]}' contains itself")
        raise _error(event, f"unknown anchor '{name[:100]}' referenced")


class _Collection:
    """A list or map that is not complete yet."""

    __slots__ = ("_key", "_merged", "anchor", "nodes", "value")

    def __init__(self, anchor: str | None, value: list[Any] | None) -> None:
        self.anchor = anchor
        self.nodes = 1
        self.value: Any = {} if value is None else value
        self._key: Any = _NO_KEY
        self._merged: set[str] = set()

    def add(self, value: Any, nodes: int, event: Any, builder: _Builder) -> None:
        self.nodes += nodes
        if isinstance(self.value, list):
            self.value.append("<<" if value is _MERGE else value)
        elif self._key is _NO_KEY:
            self._key = value if value is _MERGE or isinstance(value, str) else _key(value, event)
        else:
            key, self._key = self._key, _NO_KEY
            if key is _MERGE:
                self._merge(value, event, builder)
                return
            if key in self.value and key not in self._merged:
                builder.repeated_keys.append(RepeatedKey(event.start_mark.line + 1, key))
            self._merged.discard(key)
            self.value[key] = "<<" if value is _MERGE else value

    def _merge(self, value: Any, event: Any, builder: _Builder) -> None:
        """Merges `<<: *a`, or a list of such. Keys of the map itself, and of earlier sources, take precedence."""
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise _error(event, "map merge requires map or sequence of maps as the value")
            builder.count(len(source), event)
            for key, item in source.items():
                if key not in self.value:
                    self.value[key] = item
                    self._merged.add(key)


def _key(value: Any, event: Any) -> str:
    """JSON's keys are text: `1` and `true` become "1" and "true"."""
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    raise _error(event, "a key is neither text nor a number")


_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{form: True for word in ("y", "yes", "on", "true") for form in (word, word.capitalize(), word.upper())},
    **{form: False for word in ("n", "no", "off", "false") for form in (word, word.capitalize(), word.upper())},
    "<<": _MERGE,
}
_NUMBER_STARTS = frozenset("-+.0123456789")
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?((\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)")
_TAGGED: dict[str, tuple[type, ...]] = {
    f"{_TAG}int": (int,),
    f"{_TAG}float": (int, float),
    f"{_TAG}bool": (bool,),
    f"{_TAG}null": (type(None),),
}


def _scalar(event: Any) -> Any:
    text: str = event.value
    tag = event.tag
    if tag is None:
        return _plain(text, event) if event.implicit[0] else text
    if tag in ("!", f"{_TAG}str"):
        return text
    value = _plain(text, event)
    if type(value) not in _TAGGED.get(tag, ()):
        raise _error(event, f"unsupported tag {tag[:100]}")
    return value


def _plain(text: str, event: Any) -> Any:
    """Returns the value that Go's reader gives to a text without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    try:
        if _INTEGER.fullmatch(text):
            return _integer(text.replace("_", ""))
        return read_number(text) if _FLOAT.fullmatch(text) else text
    except ValueError:
        raise _error(event, f"not representable as JSON: {text[:100]}") from None


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if digits[:2] in ("0b", "0o", "0x"):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") else 10)


def read_number(text: str) -> int | float | str:
    """Returns an integer for a whole number, and the text for one that is too large. Raises: ValueError for numbers
    that JSON lacks."""
    if text[-1].isalpha():
        raise ValueError("infinite, or not a number")
    value = float(text)
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _error(event: Any, problem: str) -> YamlError:
    return YamlError(f"line {event.start_mark.line + 1}: {problem}")


def _wording(error: Exception) -> str:
    """Words an error as Go's reader does: for errors of structure it counts lines from zero, and leaves zero out."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    if problem.startswith(_UNKNOWN_ESCAPE):
        problem = _UNKNOWN_ESCAPE  # PyYAML adds the character, libyaml does not
    line = 0 if mark is None else mark.line if isinstance(error, yaml.parser.ParserError) else mark.line + 1
    return f"line {line}: {problem}" if line else problem


class _Dumper(_SafeDumper):  # type: ignore[misc]
    """YAML as Kubernetes writes it: keys sorted, text of several lines literal, lists not indented."""

    def ignore_aliases(self, data: object) -> bool:
        """A value that stands twice is written twice."""
        return True


# What PyYAML takes for text and other readers of YAML for a number or a boolean.
_AMBIGUOUS = re.compile(r"[yYnN]|[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?|0o?[0-7]+|0x[0-9a-fA-F]+")


def _represent_text(dumper: Any, text: str) -> Any:
    """Writes text of several lines literally, and text that would read as another type in double quotes."""
    tag = dumper.resolve(yaml.ScalarNode, text, (True, False))
    plain = tag == f"{_TAG}str" and not _AMBIGUOUS.fullmatch(text)
    style = "|" if "\n" in text else None if plain else '"'
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _represent_text)

# "=" and "<<" mean something in YAML 1.1 only; kubectl writes them as they are.
_Dumper.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("value", "merge")]
    for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
}
