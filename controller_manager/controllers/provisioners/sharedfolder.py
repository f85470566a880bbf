"""Shared-folder provisioner: a claim's volume is a folder in what all nodes share, so that pods everywhere write to it.

The nodes of one machine share its disk, those of several an NFS export: each kubelet is told where by
--shared-volumes-dir. With the parameters `server` and `share` of the class pods mount the export themselves; without,
each node's kubelet shows them its own path, which has to be the same on all.
"""

from __future__ import annotations

import random

from apimachinery.conditions import is_true
from controller_manager.controllers.provisioners import _provisioning as provisioning
from controller_manager.controllers.provisioners._nodefolders import SHARED, FolderError, NodeFolders
from controller_manager.controllers.provisioners._provisioner import WATCHES, Provisioner
from kubeapi.core.node import Node
from kubeapi.core.persistentvolume.model import PersistentVolume, PersistentVolumeSpec
from kubeapi.core.persistentvolumeclaim.model import ACCESS_MODES, PersistentVolumeClaim
from kubeapi.core.pod.storagevolumes import NFSVolumeSource
from kubeapi.core.pod.volumes import HostPathVolumeSource
from kubeapi.storage.storageclass import StorageClass
from kubeclient.controller import ControllerContext, ControllerSpec
from kubeclient.informer import Informer

NAME = "mini-kubernetes.io/shared-folder"
NOT_KEPT = 404
"""A kubelet's answer where its node shares no folder."""


class SharedFolders:
    """Has whatever node is ready make and delete the folders: all see the same ones."""

    abilities = provisioning.Abilities(NAME, frozenset(ACCESS_MODES), parameters=frozenset({"server", "share"}))

    def __init__(self, folders: NodeFolders, nodes: Informer[Node]) -> None:
        self._folders = folders
        self._nodes = nodes

    async def make(self, claim: PersistentVolumeClaim, storage_class: StorageClass) -> PersistentVolumeSpec:
        name, parameters = provisioning.volume_name(claim), storage_class.parameters or {}
        server, share = parameters.get("server", ""), parameters.get("share", "")
        if bool(server) != bool(share):
            raise FolderError("the class's parameters server and share go together", 400)
        path = await self._ask_any_node(name, delete=False)
        if server:
            return PersistentVolumeSpec(nfs=NFSVolumeSource(server=server, path=f"{share.rstrip('/')}/{name}"))
        return PersistentVolumeSpec(hostPath=HostPathVolumeSource(path=path, type="Directory"))

    async def unmake(self, claim: PersistentVolumeClaim) -> None:
        await self._ask_any_node(provisioning.volume_name(claim), delete=True)

    async def delete(self, volume: PersistentVolume) -> None:
        await self._ask_any_node(volume.name, delete=True)

    async def _ask_any_node(self, name: str, *, delete: bool) -> str:
        """Returns the folder's path. Raises: FolderError, of the last node that was asked."""
        nodes = [node.name for node in self._nodes.list() if is_true(node.status.conditions, "Ready")]
        random.shuffle(nodes)
        last = FolderError("no node is ready", 503)
        for node in nodes:
            try:
                if not delete:
                    return await self._folders.make(node, SHARED, name)
                await self._folders.delete(node, SHARED, name)
                return ""
            except FolderError as error:
                last = error
                if error.code < 500 and error.code != NOT_KEPT:
                    break
        raise last


def shared_folder_provisioner(context: ControllerContext) -> Provisioner:
    return Provisioner(context, SharedFolders(NodeFolders(context.rest), context.informers.of(Node)))


CONTROLLER = ControllerSpec("shared-folder-provisioner", shared_folder_provisioner, WATCHES, event_source=NAME)
