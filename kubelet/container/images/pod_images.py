"""Gets the images of a pod, for its containers and its volumes, with the credentials that the pod may use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apimachinery.text.image_reference import Reference
from componentbase import logs
from kubeapi.core.pod.model import Pod
from kubelet.container.env import ObjectLookup
from kubelet.container.events import Events
from kubelet.container.images.credentials import (
    Credential,
    Keyring,
    Source,
    keyring,
    matching_credentials,
    secret_credentials,
)
from kubelet.container.images.manager import ImageManager, ImageRequest
from kubelet.container.images.providers import CredentialProvider
from kubelet.runtime.interface import ImageInfo

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class PodImages:
    """`node_credentials` reads those that the node has; `providers` are asked for more."""

    images: ImageManager
    objects: ObjectLookup
    events: Events
    node_credentials: Callable[[], Keyring] = dict
    providers: Sequence[CredentialProvider] = ()

    async def ensure(self, pod: Pod, image: str, pull_policy: str | None, field_path: str = "") -> ImageInfo:
        """Makes the image present; its events are about the container at `field_path`, or the pod as a whole.

        Raises: ImageUnavailable; RuntimeUnavailable.
        """
        secrets = self._secrets(pod)

        async def credentials(reference: Reference) -> Sequence[Credential]:
            keyrings = [*secrets, self.node_credentials()]
            keyrings += [await provider.credentials(pod, reference) for provider in self.providers]
            return matching_credentials(reference, keyrings)

        uid, policy = pod.metadata.uid or "", pull_policy or "IfNotPresent"
        return await self.images.ensure(ImageRequest(pod, uid, image, policy, credentials, field_path))

    def _secrets(self, pod: Pod) -> list[Keyring]:
        keyrings: list[Keyring] = []
        missing = []
        for reference in pod.spec.imagePullSecrets or ():
            secret = self.objects.secret(pod.namespace, reference.name)
            if secret is None:
                missing.append(reference.name)
                continue
            source = Source("Secret", secret.metadata.uid or "", pod.namespace, secret.name)
            try:
                keyrings.append(keyring(secret_credentials(secret.type, secret.data), source))
            except ValueError as error:
                log.warning("image pull secret ignored", pod=pod.key, secret=reference.name, error=str(error))
        if missing:
            message = f"Unable to retrieve some image pull secrets ({', '.join(missing)}); attempting to pull the image"
            self.events.event(pod, "Warning", "FailedToRetrieveImagePullSecret", message + " may not succeed.")
        return keyrings
