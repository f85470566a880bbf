"""A kind brings its description as one file, and only for its own group."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from apimachinery.catalogue import collect
from kubectl.api.discovery import ResourceType
from kubectl.cli.configuration import make_context
from kubectl.describe import kinds
from kubectl.describe.describer import ANY, describe, find_section
from kubectl.describe.section import DescribeSection


def kind(name: str, group: str) -> ResourceType:
    return ResourceType(group, "v1", f"{name.lower()}s", name.lower(), name, True, ())


def test_every_file_describes_a_kind() -> None:
    sections = collect(kinds.__name__, "DESCRIBE", DescribeSection)
    assert {"core.pod", "apps.deployment", "core.node", "core.secret"} <= sections.keys()
    for name, section in sections.items():
        folder, _, file = name.partition(".")
        assert section.group.partition(".")[0] == ("" if folder == "core" else folder)
        assert find_section(kind(file.capitalize(), section.group)) is section


def test_a_kind_of_the_same_name_in_another_group_is_described_field_by_field() -> None:
    assert find_section(kind("Service", "")) is not ANY
    assert find_section(kind("Service", "serving.knative.dev")) is ANY


def test_one_file_adds_the_description_of_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "widget.py").write_text(
        "from kubectl.describe.section import DescribeSection\n"
        "DESCRIBE = DescribeSection(lambda context, writer, obj: writer.field('Size', obj['size']),\n"
        "                           'example.com', events=False)\n"
    )
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    context = make_context(argparse.Namespace())
    widget = kind("Widget", "example.com")
    assert describe(context, widget, {"metadata": {"name": "w"}, "size": "XL"}) == "Size:  XL\n"
