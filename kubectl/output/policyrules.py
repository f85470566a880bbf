"""The rows in which rules of roles are shown, as kubectl arranges them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kubectl.api.client import Dict

HEADERS = ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"]


class _Subject(NamedTuple):
    """The one group, resource and object, or the one path, that a row is about."""

    group: str = ""
    resource: str = ""
    name: str = ""
    path: str = ""


def rule_rows(rules: Iterable[Dict]) -> list[list[str]]:
    """Returns a row for each resource and object, with the verbs of all rules about it, and one for each path and verb.

    They come in the order of the texts that Go makes of them: by the verbs first.
    """
    verbs: dict[_Subject, list[str]] = {}
    on_paths: list[tuple[_Subject, list[str]]] = []
    for rule in rules:
        for subject in _objects(rule):
            verbs.setdefault(subject, []).extend(rule["verbs"])
        for path in rule.get("nonResourceURLs") or ():
            on_paths += [(_Subject(path=path), [verb]) for verb in rule["verbs"]]
    return [_row(subject, words) for subject, words in sorted([*verbs.items(), *on_paths], key=_go_text)]


def _objects(rule: Dict) -> Iterator[_Subject]:
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for name in rule.get("resourceNames") or ("",):
                yield _Subject(group, resource, name)


def _go_text(row: tuple[_Subject, list[str]]) -> str:
    subject, verbs = row
    return f"{bracketed(*verbs)},{','.join(bracketed(part) for part in subject)}"


def _row(subject: _Subject, verbs: list[str]) -> list[str]:
    name, slash, subresource = subject.resource.partition("/")
    resource = f"{name}.{subject.group}" if subject.group else name
    columns = [(subject.path,), (subject.name,), verbs]
    return [resource + slash + subresource, *(bracketed(*filter(None, words)) for words in columns)]


def bracketed(*words: str) -> str:
    return f"[{' '.join(words)}]"
