"""Gang: binds the pods of a gang once all of them have a node, and none of them before.

Pods with the same label `gang.example.com/name` in one namespace are a gang, of as many pods as their label
`gang.example.com/size` says. A pod that has got its node waits at Permit, where it keeps its room, until the rest have
theirs. If that takes too long, all of them give their room up and are tried again later.
"""

from __future__ import annotations

from apimachinery.errors import FieldError, invalid
from apimachinery.selectors import selector_from_map
from scheduler.events import ASSIGNED_POD, NODE, Change, ClusterEvent
from scheduler.framework import SKIP, Cycle, Handle, Plugin, PluginArguments, PluginSpec, Rejected, Skip, Wait
from scheduler.state.counters import PodKind
from scheduler.state.shape import Labels, Shape
from scheduler.views.pod import Pod

NAME, SIZE = "gang.example.com/name", "gang.example.com/size"
MEMBER_PLACED = "GangMember"
"""The resource of this plugin's own events: a pod of the gang has got a node."""

Key = tuple[str, str]


class GangArgs(PluginArguments):
    """The plugin's arguments."""

    waitSeconds: int = 60
    """How long a pod keeps its node while others of its gang have none."""

    def errors(self) -> list[FieldError]:
        return [] if self.waitSeconds > 0 else [invalid("waitSeconds", self.waitSeconds, "must be greater than 0")]


def gang_of(namespace: str, labels: Labels) -> Key | None:
    name = labels.get(NAME)
    return (namespace, name) if name else None


def size_of(labels: Labels) -> int:
    """Returns 0 for a label that is not a number."""
    text = labels.get(SIZE, "")
    return int(text) if text.isascii() and text.isdigit() else 0


class Gang(Plugin):
    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        self._seconds = self.args(GangArgs).waitSeconds

    def pre_filter(self, cycle: Cycle) -> Skip | Rejected | None:
        labels = cycle.shape.labels
        if NAME in labels and size_of(labels) < 1:
            return Rejected(f"label {SIZE} must be a number above 0")
        return SKIP  # nothing to filter

    def permit(self, cycle: Cycle, node: str) -> Rejected | Wait | None:
        key = gang_of(cycle.pod.namespace, cycle.pod.labels)
        if key is None:
            return None
        if self._placed(key) < size_of(cycle.pod.labels):
            self.handle.happened(ClusterEvent(MEMBER_PLACED, Change.ADD, None, cycle.pod))
            return Wait(self._seconds)
        for other in self.handle.waiting:
            if gang_of(other.pod.namespace, other.pod.labels) == key:
                other.allow(self.name)
        return None

    def _placed(self, key: Key) -> int:
        """Counts the pods of the gang that have a node; this one, and those that wait, are among them."""
        namespace, name = key
        kind = PodKind(((frozenset((namespace,)), selector_from_map({NAME: name})),), alive_only=True)
        return int(self.handle.cache.count(kind).sum())

    def unreserve(self, cycle: Cycle, node: str) -> None:
        key = gang_of(cycle.pod.namespace, cycle.pod.labels)
        for other in self.handle.waiting if key is not None else ():
            if gang_of(other.pod.namespace, other.pod.labels) == key:
                other.reject(self.name, f"gang {cycle.pod.labels[NAME]} is not complete")

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """Lets a pod that gets its node help those of its gang that had given up theirs."""
        if event.resource != MEMBER_PLACED or not isinstance(event.new, Pod):
            return True
        return gang_of(shape.namespace, shape.labels) == gang_of(event.new.namespace, event.new.labels)


PLUGIN = PluginSpec(
    "Gang",
    Gang,
    order=5,
    arguments=GangArgs,
    requeue_on={MEMBER_PLACED: Change.ADD, ASSIGNED_POD: Change.DELETE, NODE: Change.ADD},
    reads_pod=("metadata.labels",),
)
