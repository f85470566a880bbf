import pytest

from kubectl.command import UsageError
from kubectl.describe.writer import Writer
from kubectl.printers import object_printer, table

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "managedFields": []}, "spec": {"text": "a\nb\n"}}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
LIST = {"apiVersion": "v1", "kind": "List", "items": [POD, DEPLOYMENT]}


def test_tables_pad_to_the_widest_cell_and_at_least_six():
    assert table(["A", "NAME"], [["1", "x"], ["22", "longer"]]) == "A     NAME\n1     x\n22    longer\n"
    assert table(["NAMES"], [["x"]], show_headers=False) == "x\n"
    assert table(["A"], [], show_headers=False) == ""


def test_names():
    assert object_printer("name")(LIST) == "pod/web\ndeployment.apps/web\n"


def test_yaml_is_block_style_with_literal_text_and_no_managed_fields():
    assert object_printer("yaml")(dict(POD)) == (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  text: |\n    a\n    b\n"
    )


def test_json_is_indented_by_four():
    assert object_printer("json")({"kind": "X", "metadata": {}}) == '{\n    "kind": "X",\n    "metadata": {}\n}\n'


def test_custom_columns_show_none_for_what_is_absent():
    text = object_printer("custom-columns=NAME:.metadata.name,NODE:.spec.nodeName")(LIST)
    assert text == "NAME   NODE\nweb    <none>\nweb    <none>\n"


@pytest.mark.parametrize("output", ["xml", "jsonpath=", "jsonpath={", "custom-columns=NAME", "custom-columns="])
def test_bad_formats_are_usage_errors(output):
    with pytest.raises(UsageError):
        object_printer(output)


def test_describe_aligns_values():
    writer = Writer()
    writer.field("Name", "web")
    writer.mapping("Annotations", {"b": "2", "a": "1"}, ": ")
    writer.field("Node", "")
    assert writer.text() == "Name:         web\nAnnotations:  a: 1\n              b: 2\nNode:         <none>\n"
