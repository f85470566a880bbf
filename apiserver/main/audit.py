"""The audit of one server, as its flags say."""

from __future__ import annotations

import ssl

from apiserver.audit.auditor import Auditor, Backend
from apiserver.audit.logfile import LogBackend, LogOptions
from apiserver.audit.policy import Rules, read_policy
from apiserver.audit.queue import QueueLimits
from apiserver.options.audit import AuditOptions
from componentbase.clock import Clock
from componentbase.configfile import ConfigFileError
from componentbase.daemon import FatalError
from kubeclient.access.config import ConfigError, load_config
from kubeclient.access.tls import tls_context


def make_auditor(options: AuditOptions, clock: Clock) -> Auditor | None:
    """None without a policy or a back end. Raises: FatalError."""
    backends = [name for name in (options.audit_log_path, options.audit_webhook_config_file) if name]
    if not options.audit_policy_file or not backends:
        return None
    try:
        rules = Rules(read_policy(options.audit_policy_file))
    except ConfigFileError as error:
        raise FatalError(f"--audit-policy-file: {error}") from None
    return Auditor(rules, [*_log(options), *_webhook(options)], clock)


def _log(options: AuditOptions) -> list[Backend]:
    if not options.audit_log_path:
        return []
    limits = QueueLimits(events=options.audit_log_batch_buffer_size)
    try:
        return [
            LogBackend(
                LogOptions(
                    options.audit_log_path,
                    options.audit_log_maxage,
                    options.audit_log_maxbackup,
                    options.audit_log_maxsize,
                    limits,
                )
            )
        ]
    except OSError as error:
        raise FatalError(f"--audit-log-path: {error}") from None


def _webhook(options: AuditOptions) -> list[Backend]:
    if not options.audit_webhook_config_file:
        return []
    from apiserver.audit.webhook import WebhookBackend, WebhookOptions  # here: httpx is for servers that have one

    try:
        config = load_config(options.audit_webhook_config_file)
        context = tls_context(config) or ssl.create_default_context()
    except (ConfigError, OSError) as error:
        raise FatalError(f"--audit-webhook-config-file: {error}") from None
    limits = WebhookOptions(
        options.audit_webhook_batch_max_size,
        options.audit_webhook_batch_max_wait,
        options.audit_webhook_initial_backoff,
        QueueLimits(events=options.audit_webhook_batch_buffer_size),
    )
    return [WebhookBackend(config, context, limits)]
