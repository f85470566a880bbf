"""projected: ConfigMaps, Secrets, the downward API and tokens of the service account in one folder."""

from __future__ import annotations

from apimachinery.errors import StatusError
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.volumes import ProjectedVolumeSource, VolumeProjection
from kubelet.container.spec import all_containers
from kubelet.volume.interface import Mounted, ObjectRef, VolumeContext, VolumeError, VolumeType
from kubelet.volume.types import _atomic
from kubelet.volume.types._atomic import File
from kubelet.volume.types._payload import DEFAULT_MODE, config_map_files, downward_files, secret_files

PLUGIN = "kubernetes.io~projected"

UNSUPPORTED = ("clusterTrustBundle", "podCertificate")
DEFAULT_TOKEN_SECONDS = 3600
OWN_TOKEN_MODE = 0o600
"""A token's mode where it is known who is to read it: the containers' user or the pod's group."""


async def prepare(context: VolumeContext, source: ProjectedVolumeSource) -> None:
    """Gets the tokens. Raises: VolumeError."""
    for projection in source.sources or ():
        token = projection.serviceAccountToken
        if token is None:
            continue
        if context.host.tokens is None:
            raise VolumeError("projected source serviceAccountToken is not supported here")
        seconds = DEFAULT_TOKEN_SECONDS if token.expirationSeconds is None else token.expirationSeconds
        try:
            text = await context.host.tokens.token(context.pod, token.audience or "", seconds)
        except (StatusError, OSError) as error:
            raise VolumeError(f"failed to fetch token: {error}") from None
        context.fetched[token.path] = text


def setup(context: VolumeContext, source: ProjectedVolumeSource) -> Mounted:
    """Raises: VolumeError for a source that this cluster cannot provide, and those of the single volumes."""
    files: dict[str, File] = {}
    for projection in source.sources or ():
        files |= _files(context, projection, source.defaultMode)
    directory = context.directory(PLUGIN)
    _atomic.write(directory, files, group=context.fs_group)
    return Mounted(directory, read_only=True, managed=True)


def _files(context: VolumeContext, projection: VolumeProjection, mode: int | None) -> dict[str, File]:
    if (config_map := projection.configMap) is not None:
        return config_map_files(context, config_map.name, config_map.items, mode, config_map.optional)
    if (secret := projection.secret) is not None:
        return secret_files(context, secret.name, secret.items, mode, secret.optional)
    if (downward := projection.downwardAPI) is not None:
        return downward_files(context, downward.items, mode)
    if (token := projection.serviceAccountToken) is not None:
        owner = _only_user(context.pod)
        if owner is not None or context.fs_group is not None:
            mode = OWN_TOKEN_MODE
        mode = DEFAULT_MODE if mode is None else mode
        return {token.path: File(context.fetched[token.path].encode(), mode, owner)}
    name = next((name for name in UNSUPPORTED if getattr(projection, name) is not None), "")
    raise VolumeError(f"projected source {name or 'of unknown type'} is not supported")


def _only_user(pod: Pod) -> int | None:
    """Returns the user that all containers run as, if the spec says so."""
    whole = pod.spec.securityContext.runAsUser if pod.spec.securityContext is not None else None
    users = set()
    for _, container in all_containers(pod):
        own = container.securityContext.runAsUser if container.securityContext is not None else None
        users.add(whole if own is None else own)
    return users.pop() if len(users) == 1 else None


def references(pod: Pod, source: ProjectedVolumeSource) -> list[ObjectRef]:
    references = []
    for projection in source.sources or ():
        if projection.configMap is not None:
            references.append(ObjectRef("ConfigMap", pod.namespace, projection.configMap.name))
        if projection.secret is not None:
            references.append(ObjectRef("Secret", pod.namespace, projection.secret.name))
    return references


VOLUME = VolumeType("projected", PLUGIN, setup, references, live=True, prepare=prepare)
