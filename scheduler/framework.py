"""Defines the extension points of scheduling, and what plugins get to work with.

A plugin subclasses `Plugin` and overrides the points it needs; `PLUGIN = PluginSpec(...)` in its file in `plugins/` is
all that makes it part of the scheduler. Filter and Score work on whole columns of the node table: a mask or an array
for all rows asked for, never one node at a time.

Order of the points for a pod: PreEnqueue, QueueSort | PreFilter, Filter, (PostFilter when nothing fits), PreScore,
Score, NormalizeScore, Reserve, Permit | PreBind, Bind, PostBind. Those before the second bar run at once, without
awaiting, unless a PostFilter has to ask others; the rest run while the next pods are scheduled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from apimachinery.catalogue import collect
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Model
from kubeclient.rest import RestClient
from scheduler.events import Change, ClusterEvent
from scheduler.state.cache import SchedulerCache
from scheduler.state.podinfo import pod_id
from scheduler.state.shape import IntArray, Shape, UndeclaredField
from scheduler.state.storage import pod_storage
from scheduler.state.table import BoolArray, NodeTable, Rows
from scheduler.state.victims import Preemption
from scheduler.state.waiting import WaitingPods
from scheduler.views.pod import Pod

MAX_SCORE = 100

POINTS = {
    "preEnqueue": "pre_enqueue",
    "queueSort": "sort_key",
    "preFilter": "pre_filter",
    "filter": "filter",
    "postFilter": "post_filter",
    "preScore": "pre_score",
    "score": "score",
    "reserve": "reserve",
    "permit": "permit",
    "preBind": "pre_bind",
    "bind": "bind",
    "postBind": "post_bind",
}
"""The extension points as a configuration spells them, and their methods."""

T = TypeVar("T", bound=Object)
A = TypeVar("A", bound="PluginArguments")
FloatArray = NDArray[np.float64]


class Lister(Protocol):
    """Reads other kinds from the scheduler's caches; a plugin names the kinds it reads in its `PluginSpec`."""

    def get(self, model: type[T], key: str) -> T | None: ...
    def list(self, model: type[T], namespace: str = "") -> list[T]: ...

    def version(self, model: type[Object]) -> str:
        """Returns another text whenever something of this kind may have changed."""


class Recorder(Protocol):
    """Tells users of events."""

    def event(
        self, obj: Object, type: str, reason: str, message: str, *, action: str = "", related: Object | None = None
    ) -> None: ...


class PluginArguments(Model):
    """Base of the models of plugins' arguments."""

    def errors(self) -> list[FieldError]:
        """Says what is wrong with the values, by their paths in here."""
        return []


@dataclass(frozen=True)
class Handle:
    """Holds what a plugin gets to work with."""

    cache: SchedulerCache
    lister: Lister
    rest: RestClient | None = None
    recorder: Recorder | None = None
    activate: Callable[[str], None] = lambda uid: None
    """Has the waiting pod of this uid tried now, whatever its backoff."""
    happened: Callable[[ClusterEvent], None] = lambda event: None
    """Tells the queue of what only the plugin can see, under a resource name of its own: it wakes the pods that were
    refused by plugins with that name in `requeue_on`."""
    waiting: WaitingPods = field(default_factory=WaitingPods)
    """The pods that wait at Permit."""
    arguments: Mapping[str, PluginArguments] = field(default_factory=dict)
    """The arguments that the configuration gives to plugins, by their names."""
    shared: dict[str, Any] = field(default_factory=dict)
    """What the plugins of one name have in common in all profiles, by that name."""

    @property
    def table(self) -> NodeTable:
        return self.cache.table


def scaled(scores: FloatArray, *, reverse: bool = False) -> FloatArray:
    """Scales scores in proportion to the highest, which becomes MAX_SCORE, or with `reverse` 0; whole numbers."""
    result: FloatArray = np.floor(scores * MAX_SCORE / scores.max())
    return MAX_SCORE - result if reverse else result


class PluginError(Exception):
    """PreFilter or Filter can't tell: the pod is told this text, and tried again after its backoff."""


class Skip(Enum):
    """Answers PreFilter and PreScore that this plugin has nothing to say about this pod."""

    SKIP = "skip"


SKIP = Skip.SKIP


@dataclass(frozen=True, slots=True)
class Rejected:
    """Says that the pod can't be scheduled now, whatever the node."""

    reason: str


@dataclass(frozen=True, slots=True)
class Only:
    """Answers PreFilter that only these nodes need to be looked at."""

    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wait:
    """Answers Permit that the pod is to wait, at most so long, until the plugin allows or rejects it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class PostFilterResult:
    """Tells what a PostFilter did for a pod that fits nowhere."""

    message: str = ""
    """What it has to say of that, for the event's message."""
    nominated: str | None = None
    """The node on which room is being made; "" takes back what the pod's status says, None leaves it."""


class Cycle:
    """Holds one attempt at one pod. Plugins keep what PreFilter and PreScore work out in `state`, by their name.

    Local plugins get no `pod` at these points and at Filter and Score, as they answer for all pods of the shape.
    """

    __slots__ = ("filters", "pod", "reviewers", "shape", "state", "storage", "uid")

    def __init__(self, pod: Pod, shape: Shape) -> None:
        self.pod, self.shape = pod, shape
        self.storage = pod_storage(pod)
        self.uid = pod_id(pod)
        self.filters: list[Plugin] = []
        """The plugins whose Filter has a say about this pod, once PreFilter has run."""
        self.reviewers: list[Plugin] = []
        """The plugins that PostFilter has to ask about victims."""
        self.state: dict[str, Any] = {}


class ShapeCycle(Cycle):
    """Is the cycle in which local plugins answer for all pods of a shape."""

    __slots__ = ()

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.state = {}

    @property
    def pod(self) -> Pod:  # type: ignore[override]
        raise UndeclaredField("a local plugin answers for all pods of a shape: it reads cycle.shape, not cycle.pod")


class Plugin:
    """Base of all plugins: nothing is overridden, nothing is run.

    `local` says that Filter and Score of a row depend on that row and the pod's shape alone. Results are then kept for
    the next pod of this shape and corrected for rows that changed; PreFilter and PreScore run once for all of them.

    `counts_pods` says that Filter looks at the pods on nodes. Where it does not, preemption is no help.

    `by_node` says that Filter looks at one node after the other: a plugin that is not local is then asked after the
    others, about the nodes that are left, and in large clusters about no more of them than it takes to find a hundred.

    `supposes` says that Filter can tell what would be if pods came and went. Preemption does not ask one that can't.
    """

    local = True
    counts_pods = True
    by_node = False
    supposes = True

    def __init__(self, name: str, handle: Handle) -> None:
        self.name, self.handle = name, handle
        self.filters, self.normalizes = extends(type(self), "filter"), extends(type(self), "normalize")

    @property
    def table(self) -> NodeTable:
        return self.handle.table

    def args(self, model: type[A]) -> A:
        """Returns the plugin's arguments, of the model in its `PluginSpec`; the defaults where none are configured."""
        args = self.handle.arguments.get(self.name)
        return args if isinstance(args, model) else model()

    # before the queue

    def pre_enqueue(self, pod: Pod) -> Rejected | None:
        """Lets a rejected pod wait, outside of all queues, until it changes or an event of `requeue_on` may help."""
        return None

    def sort_key(self, pod: Pod) -> Any:
        """Orders the queue: by ascending key, then by age. Exactly one plugin defines it."""
        raise NotImplementedError

    async def consult(self, cycle: Cycle, nodes: Sequence[str]) -> Rejected | None:
        """Asks others about the nodes that would do, before the attempt; the scheduler waits for it.

        What is left in `cycle.state` is there in the attempt. A rejected pod is tried again after its backoff.
        """
        return None

    # which nodes

    def pre_filter(self, cycle: Cycle) -> Skip | Only | Rejected | None:
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        """Returns True for the rows that the pod may go to."""
        raise NotImplementedError

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        """Tells why these rows, which `filter` refused, were refused, and how many for each reason."""
        raise NotImplementedError

    def curable(self, cycle: Cycle, rows: IntArray) -> BoolArray:
        """Tells which of these rows, which `filter` refused, it might let pass if pods there were gone."""
        return np.full(len(rows), self.counts_pods)

    async def post_filter(self, cycle: Cycle, unfit: Unfit) -> PostFilterResult | None:
        """Tries to make room when nothing fits. The first plugin that names a node is the last that is asked.

        It may await only to ask `cycle.reviewers`.
        """
        return None

    async def review_victims(self, cycle: Cycle, candidates: Sequence[Preemption]) -> Sequence[Preemption] | Rejected:
        """Returns the candidates that are left, with the victims that are to go; rejected, no pod goes.

        The scheduler waits for it. What it returns is true of the cache as it is by then.
        """
        return candidates

    # which of them is best

    def pre_score(self, cycle: Cycle) -> Skip | None:
        return None

    def score(self, cycle: Cycle, rows: Rows) -> IntArray | FloatArray:
        """Rates the rows, the higher the better: 0 to MAX_SCORE, unless `normalize` is overridden too."""
        raise NotImplementedError

    def normalize(self, cycle: Cycle, scores: FloatArray) -> FloatArray:
        """Brings the scores of the rows that are left to 0 … MAX_SCORE. Not called while all of them are zero."""
        raise NotImplementedError

    # once a node is chosen

    def reserve(self, cycle: Cycle, node: str) -> Rejected | None:
        return None

    def unreserve(self, cycle: Cycle, node: str) -> None:
        """Undoes `reserve`; called for every plugin, whether or not its `reserve` was."""

    def permit(self, cycle: Cycle, node: str) -> Rejected | Wait | None:
        """Allows the binding, or lets the pod wait in `handle.waiting`, where the plugin allows or rejects it later."""
        return None

    async def pre_bind(self, cycle: Cycle, node: str) -> Rejected | None:
        return None

    def is_slow(self, cycle: Cycle) -> bool:
        """Tells whether `pre_bind` will wait for others: such a pod must not keep the next ones waiting."""
        return False

    async def bind(self, cycle: Cycle, node: str) -> bool:
        """Binds, or leaves it to the next plugin by returning False. Raises: StatusError, ConnectionError …"""
        raise NotImplementedError

    def post_bind(self, cycle: Cycle, node: str) -> None: ...

    # beside all that

    async def prepare(self) -> None:
        """Learns what it must know before its first answer; the scheduler waits for it when it starts to work."""

    async def run(self) -> None:
        """Works beside the scheduler from its start to its end, for what a plugin can't learn from `observe`."""

    def learn_from(self, other: Self) -> None:
        """Takes over what `prepare` and `run` of another instance have learned. The cluster autoscaler looks at nodes
        as they might be by instances of their own, of which none learns."""

    def observe(self, event: ClusterEvent) -> None:
        """Is told of every change to the kinds that the plugin reads through the lister."""

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """Tells whether an event of `requeue_on` may help a pod of this shape, which this plugin had refused."""
        return True


@dataclass(frozen=True)
class PluginSpec:
    """Declares a plugin as `PLUGIN` in its file. `order` is the place among filters, the cheap and telling first."""

    name: str
    factory: Callable[[str, Handle], Plugin]
    weight: int = 0
    """The weight of its score; with 0 the score is not asked for."""
    order: int = 100
    requeue_on: Mapping[str, Change] = field(default_factory=dict)
    """The events that may help a pod which this plugin refused: resource -> changes."""
    reads: tuple[type[Object], ...] = ()
    """The kinds beyond pods and nodes that it reads through the lister."""
    reads_pod: tuple[str, ...] = ()
    """The fields of a pod that it reads from the shape, such as "spec.nodeSelector": pods that differ in one of them
    have different shapes. Reading another raises UndeclaredField."""
    arguments: type[PluginArguments] | None = None
    """The model of its arguments in a configuration's `pluginConfig`; None when it takes none."""
    args: PluginArguments | None = None
    """The arguments that a configuration gives it."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """Says that no node fits: the message for the user, and which plugins refused, for requeueing."""

    message: str
    plugins: frozenset[str]
    curable: IntArray | None = field(default=None, compare=False)
    """The rows that might take the pod once others there were gone; None when that would not help or was not asked."""


def unfit_node(plugin: str, reason: str) -> Unfit:
    """Says that a plugin refused the node which had been chosen."""
    return Unfit(f"0/1 nodes are available: 1 {reason}.", frozenset((plugin,)))


def extends(plugin: type[Plugin], method: str) -> bool:
    """Tells whether plugins of this class take part in the extension point of the method."""
    return getattr(plugin, method) is not getattr(Plugin, method)


def pod_fields(specs: Iterable[PluginSpec]) -> list[str]:
    """Returns the fields of a pod that any of the plugins reads."""
    return sorted({field for spec in specs for field in spec.reads_pod})


def kinds_read(specs: Iterable[PluginSpec]) -> list[type[Object]]:
    """Returns the kinds beyond pods and nodes that any of the plugins reads."""
    return list(dict.fromkeys(model for spec in specs for model in spec.reads))


def collect_plugins() -> list[PluginSpec]:
    """Finds every plugin that has a file in `plugins/`."""
    return list(collect("scheduler.plugins", "PLUGIN", PluginSpec).values())
