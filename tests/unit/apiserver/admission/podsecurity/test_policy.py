"""The policy that labels of a namespace ask for, and the configuration of its defaults and exemptions."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.podsecurity._configuration import Settings, read_settings
from apiserver.admission.podsecurity._policy import EVERYTHING_ALLOWED, LevelVersion, Policy, policy_of
from componentbase.configfile import ConfigFileError


def read(defaults: Policy = EVERYTHING_ALLOWED, /, **labels: str) -> tuple[str, str, str]:
    named = {f"pod-security.kubernetes.io/{name.replace('_', '-')}": value for name, value in labels.items()}
    policy, _ = policy_of({"app": "a", **named}, defaults)
    return str(policy.enforce), str(policy.audit), str(policy.warn)


P, B, R = "privileged:latest", "baseline:latest", "restricted:latest"


@pytest.mark.parametrize(
    ("labels", "policy"),
    [
        ({}, (P, P, P)),
        ({"enforce": "baseline"}, (B, P, B)),
        ({"warn": "restricted"}, (P, P, R)),
        ({"audit": "baseline"}, (P, B, P)),
        ({"enforce": "baseline", "warn": "restricted"}, (B, P, R)),
        ({"enforce": "baseline", "warn": "privileged"}, (B, P, P)),
        ({"enforce": "baseline", "enforce_version": "v1.22"}, ("baseline:v1.22", P, "baseline:v1.22")),
        ({"enforce": "baseline", "enforce_version": "v1.22", "warn_version": "latest"}, ("baseline:v1.22", P, B)),
        ({"enforce": "baseline", "warn_version": "v1.23"}, (B, P, "baseline:v1.23")),
        ({"enforce": "wrong"}, (R, P, P)),
        ({"enforce": "baseline", "warn": "wrong"}, (B, P, P)),
        ({"audit": "wrong"}, (P, P, P)),
        ({"enforce": "baseline", "enforce_version": "1.2"}, (B, P, B)),
    ],
)
def test_labels_choose_level_and_version_of_each_mode(labels: dict[str, str], policy: tuple[str, ...]) -> None:
    assert read(**labels) == policy


def test_a_mode_without_labels_has_its_default() -> None:
    baseline, restricted = LevelVersion("baseline", "v1.30"), LevelVersion("restricted")
    defaults = Policy(baseline, restricted, restricted)
    assert read(defaults) == ("baseline:v1.30", R, R)
    assert read(defaults, enforce="privileged", warn_version="v1.1") == ("privileged:v1.30", R, "restricted:v1.1")


@pytest.mark.parametrize("version", ["v1.0", "v1.35", "v1.10000", "latest"])
def test_versions(version: str) -> None:
    assert read(enforce="baseline", enforce_version=version)[0] == f"baseline:{version}"


@pytest.mark.parametrize("version", ["", "foo", "v1", "v2.0", "v1.01", "v1.", "1.1", "v1.-1", "v1." + "9" * 30])
def test_wrong_versions(version: str) -> None:
    _, errors = policy_of({"pod-security.kubernetes.io/warn-version": version}, EVERYTHING_ALLOWED)
    assert [error.field for error in errors] == ["metadata.labels[pod-security.kubernetes.io/warn-version]"]
    assert errors[0].message.endswith('must be "latest" or "v1.x"')


def test_all_errors_are_told() -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "x" for mode in ("enforce", "audit", "warn")}
    _, errors = policy_of(labels, EVERYTHING_ALLOWED)
    assert len(errors) == 3


def test_policies_that_ask_for_the_same() -> None:
    old = Policy(enforce=LevelVersion("privileged", "v1.1"))
    assert old.is_privileged
    assert old.is_equivalent(EVERYTHING_ALLOWED)
    assert not Policy(warn=LevelVersion("baseline")).is_equivalent(EVERYTHING_ALLOWED)


def configuration(**members: Any) -> dict[str, Any]:
    return {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        **members,
    }


def test_a_configuration() -> None:
    settings = read_settings(
        configuration(
            defaults={"enforce": "baseline", "enforce-version": "v1.30", "warn": "restricted"},
            exemptions={"usernames": ["u"], "namespaces": ["kube-system"], "runtimeClasses": ["r"]},
        )
    )
    expected = Policy(LevelVersion("baseline", "v1.30"), LevelVersion(), LevelVersion("restricted"))
    assert settings == Settings(expected, frozenset({"u"}), frozenset({"kube-system"}), frozenset({"r"}))
    assert read_settings(configuration()) == Settings()


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (None, "not an object"),
        ({"kind": "Pod", "apiVersion": "v1"}, "no kind 'Pod' of 'v1'"),
        (configuration(default={}), 'unknown field "default"'),
        (configuration(defaults={"enforce": "x"}), 'defaults.enforce: Invalid value: "x": must be one of privileged'),
        (configuration(defaults={"warn-version": "x"}), 'defaults.warn-version: Invalid value: "x": must be "latest"'),
        (configuration(defaults={"wran": "x"}), "defaults.wran"),
        (configuration(exemptions={"namespaces": ["a", "a"]}), "exemptions.namespaces[1]: Duplicate value"),
        (configuration(exemptions={"namespaces": ["A"]}), "exemptions.namespaces[0]: Invalid value"),
        (configuration(exemptions={"runtimeClasses": ["_"]}), "exemptions.runtimeClasses[0]: Invalid value"),
        (configuration(exemptions={"usernames": [""]}), "exemptions.usernames[0]: Required value"),
        (configuration(exemptions={"usernames": [1]}), "exemptions.usernames[0]"),
    ],
)
def test_a_configuration_that_is_wrong_names_the_field(document: Any, text: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        read_settings(document)
    assert text in str(raised.value)
