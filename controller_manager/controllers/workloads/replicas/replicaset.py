"""ReplicaSet: keeps as many pods as asked for, made from the template."""

from __future__ import annotations

from apimachinery.selectors import selector_of
from controller_manager.controllers.workloads.replicas._replicas import ReplicasKind, ReplicasReconciler
from kubeapi.apps.replicaset import ReplicaSet, ReplicaSetCondition
from kubeapi.core.pod.model import Pod
from kubeclient.controller import ControllerContext, ControllerSpec, Watch, own

KIND = ReplicasKind("ReplicaSet", ReplicaSet, ReplicaSetCondition, lambda each: selector_of(each.spec.selector))


class ReplicaSetReconciler(ReplicasReconciler[ReplicaSet]):
    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context, KIND)


CONTROLLER = ControllerSpec(
    "replicaset-controller",
    ReplicaSetReconciler,
    [own(ReplicaSet), Watch(Pod, ReplicaSetReconciler.concerned_by)],
    workers_flag="--concurrent-replicaset-syncs",
    subjects="ReplicaSets",
)
