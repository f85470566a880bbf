"""Gets the images of a pod, for its containers and its volumes, with the credentials that the pod names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from componentbase import logs
from kubeapi.core.pod.model import Pod
from kubelet.container.env import ObjectLookup
from kubelet.container.events import Events
from kubelet.container.images.credentials import secret_credentials
from kubelet.container.images.manager import ImageManager, ImageRequest
from kubelet.runtime.interface import ImageInfo, RegistryAuth

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class PodImages:
    images: ImageManager
    objects: ObjectLookup
    events: Events

    async def ensure(self, pod: Pod, image: str, pull_policy: str | None, field_path: str = "") -> ImageInfo:
        """Makes the image present; its events are about the container at `field_path`, or the pod as a whole.

        Raises: ImageUnavailable; RuntimeUnavailable.
        """
        uid, policy = pod.metadata.uid or "", pull_policy or "IfNotPresent"
        return await self.images.ensure(ImageRequest(pod, uid, image, policy, self._credentials(pod), field_path))

    def _credentials(self, pod: Pod) -> list[Mapping[str, RegistryAuth]]:
        credentials: list[Mapping[str, RegistryAuth]] = []
        for reference in pod.spec.imagePullSecrets or ():
            secret = self.objects.secret(pod.namespace, reference.name)
            if secret is None:
                message = f"Unable to retrieve some image pull secrets ({reference.name}); attempting to pull the image"
                self.events.event(pod, "Warning", "FailedToRetrieveImagePullSecret", message + " may not succeed.")
                continue
            try:
                credentials.append(secret_credentials(secret.type, secret.data))
            except ValueError as error:
                log.warning("image pull secret ignored", pod=pod.key, secret=reference.name, error=str(error))
        return credentials
