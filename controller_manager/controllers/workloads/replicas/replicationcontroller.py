"""ReplicationController: the predecessor of the ReplicaSet, with a selector of plain labels."""

from __future__ import annotations

from apimachinery.meta import LabelSelector
from apimachinery.selectors import selector_of
from controller_manager.controllers.workloads.replicas._replicas import ReplicasKind, ReplicasReconciler
from kubeapi.core.pod.model import Pod
from kubeapi.core.replicationcontroller import ReplicationController, ReplicationControllerCondition
from kubeclient.controller import ControllerContext, ControllerSpec, Watch, own

KIND = ReplicasKind(
    "ReplicationController",
    ReplicationController,
    ReplicationControllerCondition,
    lambda each: selector_of(LabelSelector(matchLabels=each.spec.selector)),
)


class ReplicationControllerReconciler(ReplicasReconciler[ReplicationController]):
    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context, KIND)


CONTROLLER = ControllerSpec(
    "replicationcontroller-controller",
    ReplicationControllerReconciler,
    [own(ReplicationController), Watch(Pod, ReplicationControllerReconciler.concerned_by)],
    workers_flag="--concurrent-rc-syncs",
    subjects="ReplicationControllers",
    service_account="replication-controller",
    event_source="replication-controller",
)
