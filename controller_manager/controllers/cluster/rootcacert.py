"""Root CA publisher: gives every namespace the ConfigMap `kube-root-ca.crt`, by which pods know the API server."""

from __future__ import annotations

from pathlib import Path

from apimachinery.errors import AlreadyExists, Forbidden, NotFound, namespace_is_terminating
from apimachinery.meta import ObjectMeta
from componentbase.daemon import FatalError
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.namespace import Namespace
from kubeclient.access.config import ClientConfig
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, maps, own

NAME = "kube-root-ca.crt"
PUBLISHED = f"metadata.name={NAME}"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
ANNOTATIONS = {"kubernetes.io/description": DESCRIPTION}


def root_ca(file: str, config: ClientConfig) -> str:
    """Reads the authority as PEM text. Raises: FatalError when the file can't be read."""
    file = file or ("" if config.ca_data else config.ca_file)
    if not file:
        return config.ca_data
    try:
        return Path(file).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise FatalError(f"--root-ca-file: {error}") from None


class RootCACertReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._data = {"ca.crt": root_ca(context.options.root_ca_file, context.rest.config)}
        self._namespaces = context.informers.of(Namespace)
        self._published = context.informers.of(ConfigMap, field_selector=PUBLISHED)

    async def reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if namespace is None or namespace.metadata.deletionTimestamp is not None:
            return DONE
        current = self._published.get(f"{key}/{NAME}")
        if current is None:
            await self._create(key)
        elif current.data != self._data or not ANNOTATIONS.items() <= current.annotations.items():
            changed = current.clone()
            changed.data = dict(self._data)
            changed.metadata.annotations = dict(current.annotations) | ANNOTATIONS
            await self._rest.update(changed)
        return DONE

    async def _create(self, namespace: str) -> None:
        metadata = ObjectMeta(name=NAME, namespace=namespace, annotations=dict(ANNOTATIONS))
        try:
            await self._rest.create(ConfigMap(metadata=metadata, data=dict(self._data)))
        except (AlreadyExists, NotFound):
            return
        except Forbidden as error:
            if not namespace_is_terminating(error):
                raise


CONTROLLER = ControllerSpec(
    "root-ca-certificate-publisher-controller",
    RootCACertReconciler,
    [
        own(Namespace),
        maps(ConfigMap, lambda config_map: (config_map.namespace,), field_selector=PUBLISHED),
    ],
    workers=2,
    service_account="root-ca-cert-publisher",
)
