"""Writes the tables of pending cases anew.

Known reasons stay; a case of a kind that isn't served gets that as its reason, any other is marked as not examined.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from apimachinery.catalogue import load_catalogue
from tests.golden import pending
from tests.golden.following import CONTROLLER_TOPICS, follow
from tests.golden.replay import Case
from tests.golden.server import TOPICS, check, read_topic


def missing_kind(case: Case, served: set[str]) -> str:
    """Says which resource of the case's path isn't served; "" if that isn't the reason."""
    parts = re.match(r"/(?:api|apis/([^/]+))/[^/]+/(?:namespaces/[^/]+/(?!status|finalize))?([a-z]+)", case["path"])
    if parts is None:
        return ""
    resource = ".".join(filter(None, (parts[2], parts[1])))
    return "" if resource in served else f"{resource} don't exist yet"


def outcomes(topic: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yields the name and the differences of each case or step of a file."""
    kind, _, controller = topic.partition("-")
    return follow(controller, folder) if kind == "controllers" else check(topic, folder)


def missing_kinds(topic: str) -> dict[str, str]:
    """Returns the reason for each case of a file whose kind isn't served, by the case's name."""
    if topic.startswith("controllers-"):
        return {}
    served = {f"{resource.plural}.{resource.group}".rstrip(".") for resource in load_catalogue()}
    reasons = {case["name"]: missing_kind(case, served) for case in read_topic(topic)["cases"]}
    return {name: reason for name, reason in reasons.items() if reason}


def update(topic: str) -> None:
    known = {**missing_kinds(topic), **pending.read(topic)}
    with tempfile.TemporaryDirectory() as folder:
        results = list(outcomes(topic, Path(folder)))
    reasons = {name: known.get(name, pending.UNEXAMINED) for name, differing in results if differing}
    pending.write(topic, reasons)
    print(f"{topic}: {len(results) - len(reasons)} of {len(results)} as recorded")


def show(topic: str, text: str) -> None:
    """Prints the differences of the cases or steps whose name has the text."""
    with tempfile.TemporaryDirectory() as folder:
        for name, differing in outcomes(topic, Path(folder)):
            if differing and text in name:
                print("\n    ".join([name, *differing]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="FILE", help="a file of cases, without .json (default: all)")
    parser.add_argument(
        "--show", metavar="TEXT", help="print the differences of cases whose name has TEXT, and write nothing"
    )
    arguments = parser.parse_args()
    for topic in arguments.topics or [*TOPICS, *(f"controllers-{topic}" for topic in CONTROLLER_TOPICS)]:
        if arguments.show is None:
            update(topic)
        else:
            show(topic, arguments.show)


if __name__ == "__main__":
    main()
