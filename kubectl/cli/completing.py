"""What may come next on a command line, for the shells' completion: verbs, flags, types, names.

The scripts of `completion` ask `mini-kubectl __complete WORD…`, whose last word is the one being typed. Each line of
the answer is a candidate, and the last is ":" and a number: what the shell does with them.
"""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Iterable, Sequence
from typing import Any

from apimachinery.errors import StatusError
from kubeclient.config import ConfigError
from kubectl import commands
from kubectl.api.client import Unreachable
from kubectl.api.discovery import UnknownType
from kubectl.cli.command import Context, UsageError
from kubectl.input.manifests import parse_targets

Dict = dict[str, Any]

NO_SPACE, NO_FILES = 2, 4
REQUEST_SECONDS = 2.0  # a user waits for the Tab key
MOST_NAMES = 500
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
PODS = {"logs", "exec", "attach", "port-forward", "cp", "debug"}
NODES = {"cordon", "uncordon", "drain"}
TYPES = {
    "get", "describe", "delete", "edit", "label", "annotate", "patch", "wait", "scale", "autoscale", "expose",
    "rollout", "set", "taint",
}  # fmt: skip
FORMATS = ("json", "yaml", "name", "wide", "jsonpath=", "custom-columns=")


class Candidates(list[str]):
    """`directive` is for the shell."""

    def __init__(self, found: Iterable[str] = (), directive: int = NO_FILES) -> None:
        super().__init__(found)
        self.directive = directive


FILES = Candidates(directive=0)


def complete(words: Sequence[str]) -> str:
    """The answer."""
    *before, current = words or [""]
    try:
        found = _candidates(before, current)
    except (StatusError, Unreachable, UsageError, UnknownType, ConfigError, OSError):
        found = Candidates()  # nothing can be said, and this is no place for messages
    fitting = [word for word in dict.fromkeys(found) if word.startswith(current)]
    return "".join(f"{word}\n" for word in [*fitting, f":{found.directive}"])


def verbs() -> list[str]:
    names = (module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))
    return sorted(name for name in names if not name.startswith("-"))


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """Of the verb in them, or one without verbs."""
    from kubectl.cli import main as cli

    verb = next((word for word in words if word in verbs()), "")
    return cli.build_parser(cli.load_commands([verb]) if verb else {})


def _context(flags: Dict) -> Context:
    from kubectl.cli import main as cli

    return cli.make_context(argparse.Namespace(**{**flags, "request_timeout": REQUEST_SECONDS}))


def _candidates(before: list[str], current: str) -> Candidates:
    place = _Place(_parser(before))
    for word in before:
        place.take(word)
    if place.pending is not None:
        return _values(place, place.pending)
    if current.startswith("-"):
        name, equals, _ = current.partition("=")
        action = place.parser._option_string_actions.get(name)
        if equals and action is not None:
            found = _values(place, action)
            return Candidates([f"{name}={value}" for value in found], found.directive)
        return Candidates(sorted(place.parser._option_string_actions))
    if place.behind_dashes:
        return FILES
    if (choices := place.choices()) is not None:
        if place.words:
            return Candidates()  # a verb that there is not
        return Candidates(sorted(choices) if place.path else verbs())
    return _words(place, current)


class _Place:
    """Where on the command line the cursor stands: the parser of the verb, what was given, a flag without its value."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser
        self.path: list[str] = []
        self.words: list[str] = []
        self.flags: Dict = {}
        self.pending: argparse.Action | None = None
        self.behind_dashes = False

    @property
    def verb(self) -> str:
        return self.path[0] if self.path else ""

    def take(self, word: str) -> None:
        choices = self.choices()
        if self.pending is not None:
            self.flags[self.pending.dest] = word
            self.pending = None
        elif word == "--" or self.behind_dashes:
            self.behind_dashes = True
        elif word.startswith("-"):
            name, equals, value = word.partition("=")
            action = self.parser._option_string_actions.get(name)
            if action is not None and equals:
                self.flags[action.dest] = value
            elif action is not None and action.nargs is None and not isinstance(action, argparse._StoreTrueAction):
                self.pending = action
            elif action is not None:
                self.flags[action.dest] = True
        elif choices is not None and word in choices:
            self.parser = choices[word]
            self.path.append(word)
        else:
            self.words.append(word)

    def choices(self) -> dict[str, argparse.ArgumentParser] | None:
        """Of the sub-verb that must come next."""
        for action in self.parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                return action.choices
        return None


def _values(place: _Place, action: argparse.Action) -> Candidates:
    """Of a flag."""
    if action.dest == "namespace":
        return Candidates(_names(_context(place.flags), "namespaces"))
    if action.dest == "output":
        return Candidates(FORMATS)
    if action.dest == "dry_run":
        return Candidates(("none", "client", "server"))
    if action.dest == "container" and place.words:
        return Candidates(_containers(_context(place.flags), place.words[0]))
    if action.dest == "context":
        return Candidates(_contexts(place.flags))
    if isinstance(action.metavar, str) and "|" in action.metavar:
        return Candidates(action.metavar.split("|"))
    return FILES if action.dest in ("filename", "kustomize", "kubeconfig") or action.metavar == "FILE" else Candidates()


def _words(place: _Place, current: str) -> Candidates:
    """What is no flag."""
    verb = place.verb
    if verb == "completion":
        return Candidates(("bash", "zsh", "fish") if not place.words else ())
    if verb == "config":
        return Candidates(_contexts(place.flags) if "context" in place.path[-1] and not place.words else ())
    context = _context(place.flags)
    if verb == "explain":
        return Candidates(_types(context), NO_FILES | NO_SPACE)
    if verb == "top":
        return Candidates(_names(context, "nodes" if place.path[-1].startswith("no") else "pods"))
    if verb in NODES:
        return Candidates(_names(context, "nodes"))
    if verb in TYPES:
        return _types_and_names(place, current, context)
    if verb not in PODS:
        return FILES
    if verb == "logs" and place.words:
        return Candidates(_containers(context, place.words[0]))
    if verb == "cp":
        return Candidates((f"{name}:" for name in _names(context, "pods")), NO_SPACE)
    if "/" in current:
        return Candidates(_slashed(context, current))
    return Candidates(_names(context, "pods") if not place.words or verb == "debug" else ())


def _types_and_names(place: _Place, current: str, context: Context) -> Candidates:
    if "/" in current:
        return Candidates(_slashed(context, current))
    if not place.words:
        return Candidates([*_types(context), "all"] if place.verb in ("get", "delete") else _types(context))
    if "/" in place.words[0]:
        return Candidates(f"{name}/" for name in _types(context))
    taken = set(place.words[1:])
    return Candidates(name for name in _names(context, place.words[0].split(",")[0]) if name not in taken)


def _slashed(context: Context, current: str) -> list[str]:
    kind = current.partition("/")[0]
    return [f"{kind}/{name}" for name in _names(context, kind)]


def _types(context: Context) -> list[str]:
    return sorted({kind.plural for kind in context.discovery.types if "list" in kind.verbs})


def _names(context: Context, kind: str) -> list[str]:
    [target] = parse_targets(context, [kind])
    answer = context.api.request("GET", target.path, params={"limit": MOST_NAMES}, accept=METADATA)
    return sorted(item["metadata"]["name"] for item in answer.get("items") or ())


def _containers(context: Context, pod: str) -> list[str]:
    from kubectl.remote.podtarget import container_names, find_pods

    return container_names(find_pods(context, [pod], timeout_seconds=0)[0])


def _contexts(flags: Dict) -> list[str]:
    from kubeclient.config import kubeconfig_files, merge_kubeconfigs

    return sorted(entry["name"] for entry in merge_kubeconfigs(kubeconfig_files(flags.get("kubeconfig")))["contexts"])
