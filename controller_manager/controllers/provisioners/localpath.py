"""Local-path provisioner: a claim's volume is a folder on the node that the scheduler chose for its first pod.

The volume can be reached from that node alone, so pods that use it come back there, and find their data. Whoever needs
more than one node's disk takes another class.
"""

from __future__ import annotations

from apimachinery.errors import BadRequest, NotFound
from controller_manager.controllers.provisioners import _provisioning as provisioning
from controller_manager.controllers.provisioners._nodefolders import LOCAL, NodeFolders
from controller_manager.controllers.provisioners._provisioner import WATCHES, Provisioner
from kubeapi.core.node import Node
from kubeapi.core.persistentvolume.binding import SELECTED_NODE
from kubeapi.core.persistentvolume.model import PersistentVolume, PersistentVolumeSpec, VolumeNodeAffinity
from kubeapi.core.persistentvolume.sources import LocalVolumeSource
from kubeapi.core.persistentvolumeclaim.model import (
    READ_WRITE_ONCE,
    READ_WRITE_ONCE_POD,
    PersistentVolumeClaim,
)
from kubeapi.core.pod.scheduling.affinity import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from kubeapi.storage.storageclass import StorageClass
from kubeclient.controller import ControllerContext, ControllerSpec
from kubeclient.rest import RestClient

NAME = "mini-kubernetes.io/local-path"
HOST_NAME = "kubernetes.io/hostname"


class LocalFolders:
    """Keeps each volume's folder on one node, by the name of the volume."""

    abilities = provisioning.Abilities(
        NAME, access_modes=frozenset({READ_WRITE_ONCE, READ_WRITE_ONCE_POD}), waits_for_node=True
    )

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest
        self._folders = NodeFolders(rest)

    async def make(self, claim: PersistentVolumeClaim, storage_class: StorageClass) -> PersistentVolumeSpec | None:
        node = await self._node(claim.annotations[SELECTED_NODE])
        if node is None:
            return None
        path = await self._folders.make(node.name, LOCAL, provisioning.volume_name(claim))
        there = NodeSelectorRequirement(key=HOST_NAME, operator="In", values=[node.labels.get(HOST_NAME, node.name)])
        terms = [NodeSelectorTerm(matchExpressions=[there])]
        affinity = VolumeNodeAffinity(required=NodeSelector(nodeSelectorTerms=terms))
        return PersistentVolumeSpec(local=LocalVolumeSource(path=path), nodeAffinity=affinity)

    async def unmake(self, claim: PersistentVolumeClaim) -> None:
        await self._delete(claim.annotations.get(SELECTED_NODE, ""), provisioning.volume_name(claim))

    async def delete(self, volume: PersistentVolume) -> None:
        await self._delete(node_of(volume), volume.name)

    async def _delete(self, node_name: str, name: str) -> None:
        """Deletes the folder; one of a node that has left the cluster has left with it."""
        node = await self._node(node_name) if node_name else None
        if node is not None:
            await self._folders.delete(node.name, LOCAL, name)

    async def _node(self, name: str) -> Node | None:
        try:
            return await self._rest.get(Node, name)
        except (NotFound, BadRequest):  # whoever may write the claim wrote its annotation
            return None


def node_of(volume: PersistentVolume) -> str:
    """Returns the name of the node that the volume's affinity asks for; "" where it is not of our making."""
    required = volume.spec.nodeAffinity.required if volume.spec.nodeAffinity is not None else None
    terms = required.nodeSelectorTerms if required is not None else []
    wanted = [item for term in terms for item in term.matchExpressions or ()]
    if len(wanted) == 1 and wanted[0].key == HOST_NAME and len(wanted[0].values or ()) == 1:
        return (wanted[0].values or [""])[0]
    return ""


def local_path_provisioner(context: ControllerContext) -> Provisioner:
    return Provisioner(context, LocalFolders(context.rest))


CONTROLLER = ControllerSpec("local-path-provisioner", local_path_provisioner, WATCHES, event_source=NAME)
