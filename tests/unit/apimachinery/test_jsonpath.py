import pytest

from apimachinery.text.jsonpath import JSONPathError, Template

PODS = {
    "items": [
        {
            "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "restarts": 3},
        },
        {"metadata": {"name": "b"}, "status": {"phase": "Pending", "conditions": [], "restarts": 0}},
    ]
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{.items[*].metadata.name}", "a b"),
        ("{.items[0].metadata.name}", "a"),
        ("{.items[-1].metadata.name}", "b"),
        ("{.items[0:1].metadata.name}", "a"),
        ("{$.items[1].status.phase}", "Pending"),
        ("{..name}", "a b"),
        (r"{.items[0].metadata.labels.app\.kubernetes\.io/name}", "x"),
        ("{.items[0].metadata.labels['app.kubernetes.io/name']}", "x"),
        ("{.items[?(@.status.phase=='Running')].metadata.name}", "a"),
        ("{.items[?(@.status.restarts>1)].metadata.name}", "a"),
        ("{.items[?(@.metadata.labels)].metadata.name}", "a"),
        ('{.items[*].status.conditions[?(@.type=="Ready")].status}', "True"),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.status.phase}{"\\n"}{end}', "a\tRunning\nb\tPending\n"),
        ("names: {.items[*]['metadata', 'nothing'].name}!", "names: a b!"),
        ("{.items[0].status.conditions}", '[{"status":"True","type":"Ready"}]'),
        ("{.missing}", ""),
        ("plain", "plain"),
    ],
)
def test_templates(template, expected):
    assert Template(template).render(PODS) == expected


@pytest.mark.parametrize("template", ["{", "{.a", "{.a[}", "{range .a}x", "{end}", "{.a[x]}", "{.a[?(1 1)]}", "{foo}"])
def test_malformed_templates_are_errors(template):
    with pytest.raises(JSONPathError):
        Template(template).render({"a": []})
