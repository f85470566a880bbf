"""The flags about the audit."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from componentbase.flags import add_duration, fill


@dataclass(frozen=True)
class AuditOptions:
    audit_policy_file: str = ""
    audit_log_path: str = ""
    audit_log_maxage: int = 0
    audit_log_maxbackup: int = 0
    audit_log_maxsize: int = 100
    audit_log_batch_buffer_size: int = 10_000
    audit_webhook_config_file: str = ""
    audit_webhook_batch_buffer_size: int = 10_000
    audit_webhook_batch_max_size: int = 400
    audit_webhook_batch_max_wait: float = 30.0
    audit_webhook_initial_backoff: float = 10.0


def add_audit(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("audit: who asked for what, and what came of it (off without a policy)")
    for flag, metavar, text in (
        ("--audit-policy-file", "FILE", "the rules of what is told: a Policy of audit.k8s.io/v1 (YAML)"),
        ("--audit-log-path", "FILE", "write events to FILE, a line of JSON each; - is the standard output"),
        ("--audit-webhook-config-file", "FILE", "send events to the server that this kubeconfig names"),
    ):
        group.add_argument(flag, default="", metavar=metavar, help=text)
    for flag, default, text in (
        ("--audit-log-maxage", 0, "days that a full log file is kept (default 0: for ever)"),
        ("--audit-log-maxbackup", 0, "how many full log files are kept (default 0: all)"),
        ("--audit-log-maxsize", 100, "megabytes after which a log file is full (default 100; 0: never)"),
        ("--audit-log-batch-buffer-size", 10_000, "events that may wait for the log; further ones are lost"),
        ("--audit-webhook-batch-buffer-size", 10_000, "the same for the webhook"),
        ("--audit-webhook-batch-max-size", 400, "the most events of one request to the webhook"),
    ):
        group.add_argument(flag, type=int, default=default, metavar="N", help=text)
    add_duration(group, "--audit-webhook-batch-max-wait", 30, "how long a batch waits until it is full")
    add_duration(group, "--audit-webhook-initial-backoff", 10, "the wait before a batch that failed is sent again")


def audit_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> AuditOptions:
    """Ends the process with a message for flags that can't be used."""
    options = fill(AuditOptions, args)
    for name, value in vars(options).items():
        least = 1 if "batch" in name and name.endswith("size") else 0
        if isinstance(value, int | float) and value < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}")
    return options
