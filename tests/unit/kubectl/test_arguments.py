import argparse

import pytest

from apimachinery.errors import FieldError, NotFound, invalid_object
from kubectl.cli.commandline import build_parser, load_commands
from kubectl.cli.main import describe_failure
from kubectl.commands.advanced.wait import parse_condition
from kubectl.commands.cluster.drain import DrainVerdict, judge
from kubectl.commands.deploy.rollout import rollout_status
from kubectl.commands.settings._metadata import parse_changes
from kubectl.input.manifests import parse_manifests
from kubectl.invocation.command import UsageError
from kubectl.invocation.flags import duration

PARSER = build_parser(load_commands([]))


def parse(*words):
    return PARSER.parse_args(list(words))


def test_every_verb_of_the_command_line_has_help_and_runs_something():
    commands = load_commands([])
    assert {"apply", "get", "describe", "create", "delete", "logs", "exec", "scale", "rollout", "wait"} <= {
        command.name for command in commands
    }
    for command in commands:
        with pytest.raises(SystemExit) as end:
            parse(command.name, "--help")
        assert end.value.code == 0


def test_flags_with_optional_values_do_not_swallow_the_next_word():
    args = parse("get", "--no-headers", "pods")
    assert args.no_headers is True
    assert args.targets == ["pods"]
    assert parse("delete", "--wait=false", "pod", "x").wait is False
    assert parse("apply", "--dry-run", "-f", "x").dry_run == "client"


def test_global_flags_stand_before_or_after_the_verb():
    assert parse("-n", "a", "get", "pods").namespace == "a"
    assert parse("get", "pods", "-n", "b").namespace == "b"


def test_an_unknown_flag_ends_with_exit_code_1(capsys):
    with pytest.raises(SystemExit) as end:
        parse("get", "pods", "--colour")
    assert end.value.code == 1
    assert "--colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("-1", -1)]
)
def test_durations(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "10x", "1m 3s", "abc"])
def test_bad_durations(text):
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


def test_label_parse_changes():
    assert parse_changes(["pod", "web", "a=1", "b-"], "label") == (["pod", "web"], {"a": "1", "b": None})
    assert parse_changes(["pod/web", "b-"], "label") == (["pod/web"], {"b": None})
    for bad in (
        ["pod", "web"],
        ["pod", "a=1", "a-"],
        ["pod", "a-", "a=1"],
        ["pod", "a=1", "web"],
        ["pod", "web", "=x"],
    ):
        with pytest.raises(UsageError):
            parse_changes(bad, "label")


def test_manifests_are_checked():
    found = parse_manifests(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n---\n", "f"
    )
    assert [manifest.name for manifest in found] == ["a"]
    assert parse_manifests("apiVersion: v1\nkind: X\nmetadata: {}\nd: 2020-01-01", "f")[0].obj["d"] == "2020-01-01"
    for bad, why in [
        ("a: [", "error converting YAML"),
        ("- a", "invalid object to validate"),
        ("kind: Pod", "apiVersion not set"),
        ("apiVersion: v1\nkind: Pod\nkind: Pod", "already set"),
        ("apiVersion: v1\nkind: Pod\nx: .nan", "not representable"),
        ("a: &a [*a]", "not representable"),
        ("\x00", "error parsing"),
    ]:
        with pytest.raises(UsageError, match=why):
            parse_manifests(bad, "f")


def test_failures_read_as_kubectls():
    assert describe_failure(NotFound('pods "x" not found')) == 'Error from server (NotFound): pods "x" not found'
    error = invalid_object("Pod", "", "x", [FieldError("FieldValueRequired", "spec", "Required value")])
    assert describe_failure(error) == 'The Pod "x" is invalid: spec: Required value'
    assert describe_failure(UsageError("no")) == "error: no"
    two = invalid_object("Pod", "", "x", [FieldError("a", "spec", "Required value"), FieldError("a", "b", "bad")])
    assert describe_failure(two) == 'The Pod "x" is invalid: \n* spec: Required value\n* b: bad'


def deployment(status, generation=2, replicas=3):
    meta = {"name": "web", "generation": generation}
    return {"metadata": meta, "spec": {"replicas": replicas}, "status": {"observedGeneration": 2, **status}}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"observedGeneration": 1}, "Waiting for deployment spec update to be observed..."),
        ({"updatedReplicas": 1}, "1 out of 3 new replicas have been updated..."),
        ({"updatedReplicas": 3, "replicas": 4}, "1 old replicas are pending termination..."),
        ({"updatedReplicas": 3, "replicas": 3, "availableReplicas": 2}, "2 of 3 updated replicas are available..."),
    ],
)
def test_rollout_status_while_it_lasts(status, message):
    text, over = rollout_status(deployment(status))
    assert text.endswith(message)
    assert not over


def test_rollout_status_at_its_end():
    done = {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}
    assert rollout_status(deployment(done)) == ('deployment "web" successfully rolled out', True)
    late = {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}
    with pytest.raises(UsageError, match="exceeded its progress deadline"):
        rollout_status(deployment(late))


def test_wait_conditions():
    pod = {"metadata": {}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    assert parse_condition("condition=Ready")(pod)
    assert parse_condition("condition=ready=true")(pod)
    assert not parse_condition("condition=Ready=False")(pod)
    assert not parse_condition("condition=Ready")(None)
    assert parse_condition("delete")(None)
    assert parse_condition("create")(pod)
    assert parse_condition("jsonpath={.status.phase}=Running")(pod)
    assert not parse_condition("jsonpath={.status.phase}=Failed")(pod)
    assert parse_condition("jsonpath={.status.phase}")(pod)
    with pytest.raises(UsageError):
        parse_condition("happiness")


def test_drain_decides_pod_by_pod():
    args = parse("drain", "n")
    owned = {"ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}
    daemon = {"ownerReferences": [{"kind": "DaemonSet", "controller": True}]}
    local = {"volumes": [{"name": "v", "emptyDir": {}}]}
    assert judge({"metadata": owned, "spec": {}}, args) == DrainVerdict(goes=True)
    assert "no controller" in judge({"metadata": {}, "spec": {}}, args).blocked
    assert "local storage" in judge({"metadata": owned, "spec": local}, args).blocked
    assert "DaemonSet" in judge({"metadata": daemon, "spec": {}}, args).blocked
    assert judge({"metadata": {}, "spec": {}, "status": {"phase": "Succeeded"}}, args) == DrainVerdict(goes=True)
    assert not judge({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {}}, args).goes
    forced = parse("drain", "n", "--force", "--ignore-daemonsets", "--delete-emptydir-data")
    assert judge({"metadata": daemon, "spec": {}}, forced) == DrainVerdict(False, "ignoring DaemonSet-managed Pods")
    assert judge({"metadata": {}, "spec": local}, forced).goes
    assert "no controller" in judge({"metadata": {}, "spec": local}, forced).warning


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("get pod -n shop web", {"targets": ["pod", "web"], "namespace": "shop"}),
        ("get -owide pods -A=false", {"output": "wide", "targets": ["pods"], "all_namespaces": False}),
        ("get -Aoname pods", {"output": "name", "all_namespaces": True}),
        ("get -o=yaml pods --watch=false --selector=", {"output": "yaml", "watch": False, "selector": ""}),
        ("get pods --watch=true", {"watch": True}),
        ("exec -it web -c app", {"stdin": True, "tty": True, "target": "web", "container": "app"}),
        ("apply -f -", {"filename": ["-"]}),
        ("apply -f a --dry-run -f b", {"filename": ["a", "b"], "dry_run": "client"}),
        ("label pod web key-", {"targets": ["pod", "web", "key-"]}),
        ("delete pod web --wait=false --now", {"wait": False, "now": True}),
    ],
)
def test_flags_and_words_mix_as_kubectls(line, expected):
    args = vars(parse(*line.split()))
    assert {name: args.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bogus", 'unknown command "bogus" for "mini-kubectl"'),
        ("get pods --bogus=1", "unknown flag: --bogus\nSee 'mini-kubectl get --help' for usage."),
        ("get -AZ", "unknown shorthand flag: 'Z' in -Z"),
        ("get pods --output", "flag needs an argument: --output"),
        ("get pods -o", "flag needs an argument: 'o' in -o"),
        ("scale deployment web", 'required flag(s) "replicas" not set'),
        ("scale deployment web --replicas=x", 'invalid argument "x" for "--replicas" flag: strconv.ParseInt'),
        ("get pods --watch=perhaps", "'perhaps' is neither true nor false"),
        ("create configmap", "exactly one NAME is required, got 0"),
        ("create configmap a b", "exactly one NAME is required, got 2"),
        ("create bogus x", "Unexpected args: [bogus x]"),
        ("version now", "unexpected arguments: [now]"),
        ("config bogus", "unknown command \"bogus\"\nSee 'mini-kubectl config -h' for help and examples"),
        ("apply -f x --dry-run=maybe", 'Invalid dry-run value (maybe). Must be "none", "server", or "client".'),
        (
            "delete pod x --cascade=some",
            'invalid cascade value (some). Must be "background", "foreground", or "orphan"',
        ),
    ],
)
def test_misuse_is_worded_as_kubectls(line, message, capsys):
    with pytest.raises(SystemExit) as end:
        parse(*line.split())
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said


def test_only_the_named_verb_is_imported():
    def names(*words):
        return [command.name for command in load_commands(words)]

    assert names("-n", "apply", "--token=x", "get", "pods") == ["get"]
    assert names("api-resources") == ["api-resources"]
    assert "apply" in names("--help")
    assert "apply" in names("no-such-verb")
