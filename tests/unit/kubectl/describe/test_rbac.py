"""The descriptions of roles and bindings."""

import argparse

from kubectl.api.discovery import ResourceType
from kubectl.cli.configuration import make_context
from kubectl.describe.describer import describe

GROUP = "rbac.authorization.k8s.io"


def test_the_rules_of_a_role_are_one_row_for_each_resource_object_and_path() -> None:
    kind = ResourceType(GROUP, "v1", "clusterroles", "clusterrole", "ClusterRole", False, ())
    rules = [
        {"verbs": ["list"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["deployments/scale"], "resourceNames": ["a", "b"]},
        {"verbs": ["get", "post"], "nonResourceURLs": ["/x"]},
    ]
    context = make_context(argparse.Namespace())
    assert describe(context, kind, {"metadata": {"name": "r"}, "rules": rules}).splitlines() == [
        "Name:         r",
        "Labels:       <none>",
        "Annotations:  <none>",
        "PolicyRule:",
        "  Resources               Non-Resource URLs  Resource Names  Verbs",
        "  ---------               -----------------  --------------  -----",
        "  deployments.apps/scale  []                 [a]             [*]",
        "  deployments.apps/scale  []                 [b]             [*]",
        "                          [/x]               []              [get]",
        "  pods                    []                 []              [list get]",
        "  pods/log                []                 []              [list]",
        "                          [/x]               []              [post]",
    ]


def test_a_binding_names_its_role_and_subjects() -> None:
    kind = ResourceType(GROUP, "v1", "rolebindings", "rolebinding", "RoleBinding", True, ())
    binding = {
        "metadata": {"name": "b", "namespace": "ns", "labels": {"a": "1"}},
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "reader"},
        "subjects": [
            {"kind": "User", "apiGroup": GROUP, "name": "alice"},
            {"kind": "ServiceAccount", "name": "robot", "namespace": "ns"},
        ],
    }
    assert describe(make_context(argparse.Namespace()), kind, binding).splitlines() == [
        "Name:         b",
        "Labels:       a=1",
        "Annotations:  <none>",
        "Role:",
        "  Kind:  Role",
        "  Name:  reader",
        "Subjects:",
        "  Kind            Name   Namespace",
        "  ----            ----   ---------",
        "  User            alice  ",
        "  ServiceAccount  robot  ns",
    ]
