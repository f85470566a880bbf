"""Writes the tables of pending cases anew.

Known reasons stay; a case of a kind that isn't served gets that as its reason, any other is marked as not examined.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from apimachinery.catalogue import load_catalogue
from tests.golden import pending
from tests.golden.following import CONTROLLER_TOPICS, follow
from tests.golden.replay import Case
from tests.golden.server import TOPICS, check


def missing_kind(case: Case, served: set[str]) -> str:
    """Says which resource of the case's path isn't served; "" if that isn't the reason."""
    parts = re.match(r"/(?:api|apis/([^/]+))/[^/]+/(?:namespaces/[^/]+/(?!status|finalize))?([a-z]+)", case["path"])
    if parts is None:
        return ""
    resource = ".".join(filter(None, (parts[2], parts[1])))
    return "" if resource in served else f"{resource} don't exist yet"


def update(topic: str, served: set[str]) -> None:
    known = pending.read(topic)
    reasons: dict[str, str] = {}
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for case, differing in check(topic, Path(folder)):
            total += 1
            if differing:
                reason = missing_kind(case, served) or known.get(case["name"])
                reasons[case["name"]] = reason or pending.UNEXAMINED
    pending.write(topic, reasons)
    print(f"{topic}: {total - len(reasons)} of {total} as recorded")


def update_controllers(topic: str) -> None:
    known = pending.read(f"controllers-{topic}")
    reasons: dict[str, str] = {}
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, differing in follow(topic, Path(folder)):
            total += 1
            if differing:
                reasons[name] = known.get(name, pending.UNEXAMINED)
    pending.write(f"controllers-{topic}", reasons)
    print(f"controllers-{topic}: {total - len(reasons)} of {total} as recorded")


def show(outcomes: Iterable[tuple[str, list[str]]], text: str) -> None:
    """Prints the differences of cases and steps; `outcomes` are their names and differences."""
    for name, differing in outcomes:
        if differing and text in name:
            print("\n    ".join([name, *differing]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="FILE", help="a file of cases, without .json (default: all)")
    parser.add_argument(
        "--show", metavar="TEXT", help="print the differences of cases whose name has TEXT, and write nothing"
    )
    arguments = parser.parse_args()
    served = {f"{resource.plural}.{resource.group}".rstrip(".") for resource in load_catalogue()}
    for topic in arguments.topics or [*TOPICS, *(f"controllers-{topic}" for topic in CONTROLLER_TOPICS)]:
        kind, _, controller = topic.partition("-")
        if arguments.show is not None:
            with tempfile.TemporaryDirectory() as folder:
                cases = ((case["name"], differing) for case, differing in check(topic, Path(folder)))
                show(follow(controller, Path(folder)) if kind == "controllers" else cases, arguments.show)
        elif kind == "controllers":
            update_controllers(controller)
        else:
            update(topic, served)


if __name__ == "__main__":
    main()
