"""The first page of help: verbs in the groups that kubectl has them in."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl.cli.command import Command

GROUPS = {
    "Basic Commands (Beginner)": ("create", "expose", "run", "set"),
    "Basic Commands (Intermediate)": ("explain", "get", "edit", "delete"),
    "Deploy Commands": ("rollout", "scale", "autoscale"),
    "Cluster Management Commands": ("cluster-info", "top", "cordon", "uncordon", "drain", "taint"),
    "Troubleshooting and Debugging Commands": (
        "describe", "logs", "attach", "exec", "port-forward", "proxy", "cp", "auth", "debug", "events",
    ),
    "Advanced Commands": ("diff", "apply", "patch", "replace", "wait", "kustomize"),
    "Settings Commands": ("label", "annotate", "completion"),
}  # fmt: skip
OTHER = "Other Commands"


def overview(commands: Iterable[Command]) -> str:
    """Verbs that no group names are among the others."""
    left = {command.name: command for command in commands}
    parts = ["mini-kubectl controls a Kubernetes cluster.\n"]
    for title, names in GROUPS.items():
        parts.append(_group(title, [left.pop(name) for name in names if name in left]))
    parts.append(_group(OTHER, [left[name] for name in sorted(left)]))
    parts.append(
        "Usage:\n  mini-kubectl [flags] VERB [words] [flags]\n\n"
        "`mini-kubectl VERB --help` shows a verb's flags, with examples; "
        "`mini-kubectl options` shows those that all verbs have.\n"
    )
    return "\n".join(part for part in parts if part)


def _group(title: str, commands: list[Command]) -> str:
    if not commands:
        return ""
    return f"{title}:\n" + "".join(f"  {command.name:<15} {command.help}\n" for command in commands)
