"""Makes the client of a daemon, which ends where its kubeconfig can't be used."""

from __future__ import annotations

from typing import Any

from componentbase.daemon import FatalError
from kubeclient.access.config import ConfigError, load_config
from kubeclient.rest import RestClient, user_agent


def daemon_client(kubeconfig: str, name: str, **options: Any) -> RestClient:
    """Reads the kubeconfig ("": from where kubectl has it), and makes a client; `options` are those of RestClient.

    Raises: FatalError.
    """
    try:
        return RestClient(load_config(kubeconfig or None), user_agent=user_agent(name), **options)
    except (ConfigError, OSError) as error:
        raise FatalError(str(error)) from None
