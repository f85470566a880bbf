"""The formats of `-o`, and tables."""

import pytest

from kubectl.invocation.command import UsageError
from kubectl.output.printers import object_printer, table

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


def test_a_watched_tables_columns_only_widen():
    widths = []
    assert table(["NAME", "AGE"], [["longer-name", "1s"]], widths=widths) == "NAME          AGE\nlonger-name   1s\n"
    assert table(["NAME", "AGE"], [["x", "1s"]], show_headers=False, widths=widths) == "x             1s\n"


def test_the_last_cell_is_not_padded_and_an_empty_one_leaves_its_gap():
    assert table(["A", "B"], [["1", ""]]) == "A     B\n1     \n"


@pytest.mark.parametrize("text", ["1e3", "y", "012", "0x1F", "true", "null", "1.5", "1_000", ""])
def test_text_that_other_readers_take_for_something_else_is_quoted(text):
    assert object_printer("yaml")({"a": text}) == f'a: "{text}"\n'


def test_yaml_repeats_what_stands_twice():
    labels = {"app": "web"}
    assert object_printer("yaml")({"a": labels, "b": labels}) == "a:\n  app: web\nb:\n  app: web\n"


def test_json_is_sorted_and_safe_in_html():
    assert object_printer("json")({"b": "<&>", "a": 1}) == '{\n    "a": 1,\n    "b": "\\u003c\\u0026\\u003e"\n}\n'


def test_custom_columns_of_maps_and_lists():
    obj = {"metadata": {"labels": {"b": "2", "a": "1"}, "finalizers": ["x", "y"], "n": 1}}
    spec = "custom-columns=L:.metadata.labels,F:metadata.finalizers,N:{.metadata.n}"
    assert object_printer(spec, headers=False)(obj) == "map[a:1 b:2]   [x y]   1\n"
    assert object_printer("jsonpath-as-json={.metadata.n}")(obj) == "[\n    1\n]\n"
