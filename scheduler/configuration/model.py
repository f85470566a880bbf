"""Models KubeSchedulerConfiguration, the file of `--config`. A field that is not here is refused by its name.

`protobuf` only says for which fields 0, "" or false is a value of its own.

Source: Kubernetes reference, "kube-scheduler Configuration (v1)", and "Scheduler Configuration".
"""

from __future__ import annotations

from typing import Any

from apimachinery.model import Model
from scheduler.extenders.model import Extender

API_VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"
ALL = "*"


class Plugin(Model):
    """A plugin of a set."""

    name: str = ""
    """The plugin's name; "*" in `disabled` means all."""
    weight: int | None = None
    """The weight of its score; the plugin's own if it is not set."""


class PluginSet(Model):
    """Changes to the plugins that run by default."""

    enabled: list[Plugin] | None = None
    """The plugins that run as well, and other weights for those that run already."""
    disabled: list[Plugin] | None = None
    """The plugins that don't run."""


class Plugins(Model):
    """Changes to the plugins: at all extension points, and at each. What a single point says wins."""

    multiPoint: PluginSet | None = None
    """At all extension points."""
    preEnqueue: PluginSet | None = None
    queueSort: PluginSet | None = None
    preFilter: PluginSet | None = None
    filter: PluginSet | None = None
    postFilter: PluginSet | None = None
    preScore: PluginSet | None = None
    score: PluginSet | None = None
    reserve: PluginSet | None = None
    permit: PluginSet | None = None
    preBind: PluginSet | None = None
    bind: PluginSet | None = None
    postBind: PluginSet | None = None


class PluginConfig(Model):
    """The arguments of a plugin."""

    name: str = ""
    """The plugin's name."""
    args: dict[str, Any] | None = None
    """Its arguments, of the kind NAMEArgs."""


class KubeSchedulerProfile(Model, protobuf="schedulerName* percentageOfNodesToScore*"):
    """Says how pods of one `schedulerName` are scheduled."""

    schedulerName: str | None = None
    """The pods that it is for. A profile that is alone may leave it out: "default-scheduler"."""
    percentageOfNodesToScore: int | None = None
    """As that of the configuration, for this profile."""
    plugins: Plugins | None = None
    """Changes to the plugins."""
    pluginConfig: list[PluginConfig] | None = None
    """Arguments of plugins."""


class LeaderElectionConfiguration(Model, protobuf="leaderElect*"):
    """Decides which of several equal schedulers works: the --leader-elect… flags, which win over this."""

    leaderElect: bool | None = None
    """False to work without asking."""
    leaseDuration: str | None = None
    """How long others wait after the last renewal, such as 15s."""
    renewDeadline: str | None = None
    """How long the leader tries to renew before it gives up."""
    retryPeriod: str | None = None
    """The wait between tries."""
    resourceLock: str | None = None
    """What is locked: leases."""
    resourceName: str | None = None
    """The Lease's name; schedulers with different configurations need different ones."""
    resourceNamespace: str | None = None
    """Its namespace."""


class ClientConnectionConfiguration(Model):
    """Says how the API server is reached."""

    kubeconfig: str | None = None
    """The file of --kubeconfig, which wins over this."""
    qps: float | None = None
    """How many requests a second are sent at most, watches and the renewal of the Lease aside. Default: any number."""
    burst: int | None = None
    """How many may go out at once before that limit holds. Default: 100."""


class KubeSchedulerConfiguration(
    Model, protobuf="parallelism* percentageOfNodesToScore* podInitialBackoffSeconds* podMaxBackoffSeconds*"
):
    """A scheduler's configuration."""

    parallelism: int | None = None
    """Above 0. It changes nothing here: filters and scores look at all nodes at once."""
    leaderElection: LeaderElectionConfiguration | None = None
    clientConnection: ClientConnectionConfiguration | None = None
    percentageOfNodesToScore: int | None = None
    """The share of all nodes that is enough to choose from, 1 to 100, though never less than 100 nodes. 0 and not set
    stand for all: looking at more nodes costs little here."""
    podInitialBackoffSeconds: int | None = None
    """How long a pod waits after a first attempt that failed; each further one doubles it. Default: 1."""
    podMaxBackoffSeconds: int | None = None
    """The longest such wait. Default: 10."""
    extenders: list[Extender] | None = None
    """Programs that have a say besides the plugins."""
    profiles: list[KubeSchedulerProfile] | None = None
    """One for each `schedulerName` that this scheduler works for."""


KINDS = {(API_VERSION, KIND): KubeSchedulerConfiguration}
