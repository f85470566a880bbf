"""How a command line is read, and how its mistakes are worded."""

import pytest

from kubectl.cli.commandline import build_parser, load_commands

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
