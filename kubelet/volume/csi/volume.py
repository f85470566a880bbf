"""What a pod asks a storage driver for, where it appears on the node, and the file that remembers it. Mostly pure.

Source: upstream's paths and file names, so that drivers that look at them work.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from componentbase.host.mountinfo import is_mounted
from componentbase.host.privatefiles import write_private
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import BLOCK
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.volumes import Volume
from kubeapi.storage.csidriver import CSIDriver
from kubeapi.storage.volumeattachment import attachment_name, unique_name

PLUGIN = "kubernetes.io~csi"
DATA_FILE = "vol_data.json"
SELINUX_FILES = "system_u:object_r:container_file_t"
"""The label of files that containers may use, up to its level."""
PERSISTENT, EPHEMERAL = "Persistent", "Ephemeral"


class SecretName(NamedTuple):
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class CsiVolume:
    """`name` is the PersistentVolume's, or for a volume of the pod alone (`ephemeral`) that of the pod's volume.

    `block`: the pod gets a device, and no file system on it.
    """

    driver: str
    handle: str
    name: str
    ephemeral: bool = False
    block: bool = False
    read_only: bool = False
    fs_type: str = ""
    mount_options: tuple[str, ...] = ()
    access_modes: tuple[str, ...] = ("ReadWriteOnce",)
    attributes: Mapping[str, str] = field(default_factory=dict)
    stage_secret: SecretName | None = None
    publish_secret: SecretName | None = None
    expand_secret: SecretName | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.driver, self.handle


def inline_volume(pod: Pod, volume: Volume) -> CsiVolume:
    """Describes a volume that a driver makes for this pod."""
    source = volume.csi
    assert source is not None
    secret = source.nodePublishSecretRef
    handle = "csi-" + hashlib.sha256(f"{pod.metadata.uid}{volume.name}".encode()).hexdigest()
    return CsiVolume(
        source.driver,
        handle,
        volume.name,
        ephemeral=True,
        read_only=bool(source.readOnly),
        fs_type=source.fsType or "",
        attributes=source.volumeAttributes or {},
        publish_secret=SecretName(pod.namespace, secret.name or "") if secret else None,
    )


def claimed_volume(volume: PersistentVolume, *, read_only: bool) -> CsiVolume:
    """Describes a PersistentVolume of a driver; `read_only` is what the pod says about its claim."""
    spec, source = volume.spec, volume.spec.csi
    assert source is not None

    def secret(reference: object) -> SecretName | None:
        if reference is None:
            return None
        return SecretName(getattr(reference, "namespace", "") or "", getattr(reference, "name", "") or "")

    return CsiVolume(
        source.driver,
        source.volumeHandle,
        volume.name,
        block=spec.volumeMode == BLOCK,
        read_only=read_only or bool(source.readOnly),
        fs_type=source.fsType or "",
        mount_options=tuple(spec.mountOptions or ()),
        access_modes=tuple(spec.accessModes or ("ReadWriteOnce",)),
        attributes=source.volumeAttributes or {},
        stage_secret=secret(source.nodeStageSecretRef),
        publish_secret=secret(source.nodePublishSecretRef),
        expand_secret=secret(source.nodeExpandSecretRef),
    )


def mode_error(volume: CsiVolume, driver: CSIDriver | None) -> str:
    """Says why the driver does not take a volume of this life cycle; "" when it does."""
    mode = EPHEMERAL if volume.ephemeral else PERSISTENT
    modes = (driver.spec.volumeLifecycleModes or [PERSISTENT]) if driver is not None else [PERSISTENT]
    if mode in modes:
        return ""
    if driver is None:
        return f'volume mode "{mode}" not supported by driver {volume.driver} (no CSIDriver object)'
    shown = " ".join(f'"{item}"' for item in modes)
    return f'volume mode "{mode}" not supported by driver {volume.driver} (only supports [{shown}])'


def needs_attachment(volume: CsiVolume, driver: CSIDriver | None) -> bool:
    if volume.ephemeral:
        return False
    return driver is None or driver.spec.attachRequired is not False


def owns_files(volume: CsiVolume, driver: CSIDriver | None) -> bool:
    """Tells whether the kubelet gives the volume's files to the pod's fsGroup."""
    if volume.block:
        return False
    policy = (driver.spec.fsGroupPolicy if driver is not None else None) or "ReadWriteOnceWithFSType"
    if policy == "ReadWriteOnceWithFSType":
        return bool(volume.fs_type) and not volume.read_only and "ReadWriteOnce" in volume.access_modes
    return policy == "File" and not volume.read_only


def selinux_enforced() -> bool:
    return os.path.exists("/sys/fs/selinux/enforce")


def selinux_option(pod: Pod, volume: CsiVolume, driver: CSIDriver | None) -> tuple[str, ...]:
    """Returns the mount option that labels all files of the volume as the pod's, in place of relabelling each.

    Its driver has to serve that, and no pod beside this one may use the volume.
    """
    context = pod.spec.securityContext
    level = context.seLinuxOptions.level if context is not None and context.seLinuxOptions is not None else None
    served = driver is not None and driver.spec.seLinuxMount and not volume.block
    if not level or not served or volume.access_modes != ("ReadWriteOncePod",):
        return ()
    return (f'context="{SELINUX_FILES}:{level}"',)


def pod_context(pod: Pod, volume: CsiVolume) -> dict[str, str]:
    """Tells the driver about the pod, where its CSIDriver asks for that."""
    prefix = "csi.storage.k8s.io"
    return {
        f"{prefix}/pod.name": pod.name,
        f"{prefix}/pod.namespace": pod.namespace,
        f"{prefix}/pod.uid": pod.metadata.uid or "",
        f"{prefix}/serviceAccount.name": pod.spec.serviceAccountName or "",
        f"{prefix}/ephemeral": "true" if volume.ephemeral else "false",
    }


class Publication(NamedTuple):
    """A volume of a pod, as its file remembers it."""

    folder: Path
    pod_uid: str
    driver: str
    handle: str
    ephemeral: bool
    attached: bool
    """Whether a controller has to attach it to the node."""

    @property
    def unique_name(self) -> str:
        return unique_name(self.driver, self.handle)

    @property
    def target(self) -> Path:
        return self.folder / "mount"

    @property
    def key(self) -> tuple[str, str]:
        return self.driver, self.handle


class CsiPaths:
    """Where things are below --root-dir."""

    def __init__(self, root_dir: str) -> None:
        self._pods = Path(root_dir, "pods")
        self._drivers = Path(root_dir, "plugins", "kubernetes.io", "csi")

    def publication(self, pod_uid: str, volume: CsiVolume, *, attached: bool = False) -> Publication:
        folder = self._pods / pod_uid / "volumes" / PLUGIN / volume.name
        return Publication(folder, pod_uid, volume.driver, volume.handle, volume.ephemeral, attached)

    def staging(self, driver: str, handle: str) -> Path:
        """Returns where the driver makes a volume ready for all pods; the folder around it is ours."""
        return self._drivers / driver / hashlib.sha256(handle.encode()).hexdigest() / "globalmount"

    def publication_in(self, folder: Path) -> Publication | None:
        """Reads what a volume's folder remembers; None where there is nothing. Raises: OSError; ValueError."""
        try:
            data = json.loads((folder / DATA_FILE).read_text())
        except FileNotFoundError:
            return None
        ephemeral = data.get("volumeLifecycleMode") == EPHEMERAL
        attached = not ephemeral and data.get("attachRequired", True)
        return Publication(
            folder, folder.parents[2].name, data["driverName"], data["volumeHandle"], ephemeral, attached
        )

    def publications(self) -> Iterator[Publication]:
        """Finds the volumes of all pods. Raises: OSError; ValueError, for a file that is not one of ours."""
        for folder in self._pods.glob(f"*/volumes/{PLUGIN}/*"):
            publication = self.publication_in(folder)
            if publication is not None:
                yield publication

    def staged(self) -> Iterator[tuple[str, str]]:
        """Finds the (driver, handle) of all staged volumes. Raises: OSError; ValueError."""
        for file in self._drivers.glob(f"*/*/{DATA_FILE}"):
            data = json.loads(file.read_text())
            yield data["driverName"], data["volumeHandle"]


def remember_publication(publication: Publication, volume: CsiVolume, node: str) -> None:
    """Raises: OSError."""
    data = {
        "specVolID": volume.name,
        "volumeHandle": volume.handle,
        "driverName": volume.driver,
        "nodeName": node,
        "attachmentID": attachment_name(volume.driver, volume.handle, node),
        "volumeLifecycleMode": EPHEMERAL if volume.ephemeral else PERSISTENT,
        "attachRequired": publication.attached,
    }
    write_private(publication.folder / DATA_FILE, json.dumps(data).encode(), durable=True)


def remember_staging(staging: Path, driver: str, handle: str) -> None:
    """Raises: OSError."""
    data = {"driverName": driver, "volumeHandle": handle}
    write_private(staging.parent / DATA_FILE, json.dumps(data).encode(), durable=True)


def remove_target(target: Path) -> None:
    """Removes what a driver may have left of a path that it no longer uses, and never what is still mounted.

    Raises: OSError, also where the folder holds files.
    """
    if is_mounted(str(target)):
        raise OSError(f"{target} is still mounted")
    if target.is_dir() and not target.is_symlink():
        target.rmdir()
    else:
        target.unlink(missing_ok=True)


def forget_folder(folder: Path) -> None:
    """Removes a folder of ours and its file. Raises: OSError, where something else is in it."""
    (folder / DATA_FILE).unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()
