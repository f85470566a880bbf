"""ServiceAccount: gives every namespace one called "default"."""

from __future__ import annotations

from apimachinery.errors import AlreadyExists, Forbidden, NotFound, namespace_is_terminating
from apimachinery.meta import ObjectMeta
from kubeapi.core.namespace import Namespace
from kubeapi.core.serviceaccount import ServiceAccount
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, maps, own

DEFAULT = "default"


class ServiceAccountReconciler:
    """Keys are namespaces."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._namespaces = context.informers.of(Namespace)
        self._accounts = context.informers.of(ServiceAccount)

    async def reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if namespace is None or namespace.metadata.deletionTimestamp or self._accounts.get(f"{key}/{DEFAULT}"):
            return DONE
        try:
            await self._rest.create(ServiceAccount(metadata=ObjectMeta(name=DEFAULT, namespace=key)))
        except (AlreadyExists, NotFound):
            return DONE
        except Forbidden as error:
            if not namespace_is_terminating(error):
                raise
        return DONE


CONTROLLER = ControllerSpec(
    "serviceaccount-controller",
    ServiceAccountReconciler,
    [own(Namespace), maps(ServiceAccount, lambda account: [account.namespace] if account.name == DEFAULT else [])],
    workers_flag="--concurrent-serviceaccount-token-syncs",
    subjects="Namespaces, for their default ServiceAccount",
    service_account="service-account-controller",
)
