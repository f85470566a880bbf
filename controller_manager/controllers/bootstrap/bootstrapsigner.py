"""Bootstrap signer: signs the ConfigMap `cluster-info` in kube-public with each bootstrap token that is meant for that.

Whoever has a token can tell by its signature that the cluster's address and authority in there are the real ones.
Source: Kubernetes documentation, "Authenticating with Bootstrap Tokens", "ConfigMap Signing".
"""

from __future__ import annotations

from controller_manager.controllers.bootstrap._signature import detached_signature
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.secret.bootstraptoken import FIELD_SELECTOR, NAMESPACE, NEVER, bootstrap_token
from kubeapi.core.secret.model import Secret
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, after, maps, own

PUBLIC_NAMESPACE, NAME = "kube-public", "cluster-info"
KEY = f"{PUBLIC_NAMESPACE}/{NAME}"
SIGNED, SIGNATURE_PREFIX = "kubeconfig", "jws-kubeconfig-"
CLUSTER_INFO = f"metadata.name={NAME}"


class BootstrapSignerReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._clock = context.clock
        self._secrets = context.informers.of(Secret, namespace=NAMESPACE, field_selector=FIELD_SELECTOR)
        self._config_maps = context.informers.of(ConfigMap, namespace=PUBLIC_NAMESPACE, field_selector=CLUSTER_INFO)

    async def reconcile(self, key: str) -> Result:
        config_map = self._config_maps.get(key)
        if config_map is None or config_map.metadata.deletionTimestamp is not None:
            return DONE
        now = self._clock.now()
        tokens = [token for token in map(bootstrap_token, self._secrets.list()) if token is not None]
        valid = [token for token in tokens if "signing" in token.usages and token.expires > now]
        old = config_map.data or {}
        data = {name: value for name, value in old.items() if not name.startswith(SIGNATURE_PREFIX)}
        if SIGNED in data:
            for token in valid:
                data[SIGNATURE_PREFIX + token.id] = detached_signature(data[SIGNED], token.id, token.secret)
        if data != old:
            changed = config_map.clone()
            changed.data = data
            await self._rest.update(changed)
        ends = [token.expires for token in valid if token.expires != NEVER]
        return after(min(ends) - now) if ends else DONE


CONTROLLER = ControllerSpec(
    "bootstrap-signer-controller",
    BootstrapSignerReconciler,
    [
        maps(Secret, lambda secret: (KEY,), namespace=NAMESPACE, field_selector=FIELD_SELECTOR),
        own(ConfigMap, namespace=PUBLIC_NAMESPACE, field_selector=CLUSTER_INFO),
    ],
    workers=1,
    service_account="bootstrap-signer",
)
