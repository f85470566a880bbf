"""How the text of `describe` is aligned."""

from kubectl.describe.section import spaced
from kubectl.describe.writer import TextWriter


def test_describe_aligns_values():
    writer = TextWriter()
    writer.field("Name", "web")
    writer.annotations({"b": "2", "a": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}"})
    writer.labels("Labels", None)
    writer.field("Node", None)
    assert writer.text() == (
        "Name:         web\nAnnotations:  a: 1\n              b: 2\nLabels:       <none>\nNode:         <none>\n"
    )


def test_long_annotations_stand_below_their_key():
    writer = TextWriter()
    writer.annotations({"lines": "one\ntwo\n", "long": "x" * 200})
    lines = writer.text().splitlines()
    assert lines[:3] == ["Annotations:  lines:", "                one", "                two"]
    assert lines[3:] == ["              long:", "                " + "x" * 138 + "..."]


def test_columns_of_describe_end_where_a_line_lacks_them():
    writer = TextWriter()
    writer.field("A long label", "1")
    writer.heading("Table")
    writer.table(["Type", "Status"], [["Ready ", "True"], ["x ", "y"]])
    writer.field("B", "2")
    assert writer.text().splitlines() == [
        "A long label:  1",
        "Table:",
        "  Type    Status",
        "  ----    ------",
        "  Ready   True",
        "  x       y",
        "B:        2",
    ]


def test_labels_of_unknown_fields_are_spaced():
    assert [spaced(name) for name in ("creationTimestamp", "apiVersion", "uid", "podCIDR", "app.io/x")] == [
        "Creation Timestamp", "API Version", "UID", "Pod CIDR", "app.io/x",
    ]  # fmt: skip
