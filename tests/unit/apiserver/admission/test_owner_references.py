"""OwnerReferencesPermissionEnforcement: who may change the owners of an object."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import Forbidden
from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Chain, Lookup
from apiserver.admission.ownerreferencespermissionenforcement import ADMISSION
from apiserver.auth.authorization.authorizer import ALLOWED, Decision, Rules
from apiserver.request.info import RequestInfo
from apiserver.request.user import ANONYMOUS, User
from kubeapi.apps.replicaset import RESOURCE as REPLICASETS
from kubeapi.core.node import RESOURCE as NODES
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import load, pod

Dict = dict[str, Any]
DELETE_POD = "delete pods default/web"
HOLD_SET = "update replicasets/finalizers default/rs"
HOLD_NODE = "update nodes/finalizers /n"


class Rights:
    """Allows what is listed, as "VERB RESOURCE NAMESPACE/NAME"."""

    def __init__(self, *allowed: str) -> None:
        self._allowed = allowed

    def authorize(self, user: User, info: RequestInfo) -> Decision:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        asked = f"{info.verb} {resource} {info.namespace}/{info.name}"
        return ALLOWED if asked in self._allowed else Decision("no opinion", "no rule")

    def rules(self, user: User, namespace: str) -> Rules:
        return Rules()


def owner(kind: str = "ReplicaSet", *, blocks: bool = False) -> Dict:
    names = {"ReplicaSet": ("apps/v1", "rs"), "Node": ("v1", "n"), "Widget": ("example.com/v1", "w")}
    version, name = names[kind]
    reference: Dict = {"apiVersion": version, "kind": kind, "name": name, "uid": f"uid-{name}"}
    return {**reference, "blockOwnerDeletion": True} if blocks else reference


def owned(*owners: Dict) -> Any:
    return load(PODS, pod(metadata={"ownerReferences": list(owners)} if owners else {}))


async def refusal(old: Any, new: Any, *rights: str, subresource: str = "") -> str:
    """Returns why the change is refused; "" if it passes."""
    kinds = {(kind.group, kind.plural): kind for kind in (PODS, REPLICASETS, NODES)}
    chain = Chain([ADMISSION], Lookup(None, kinds, Rights(*rights), None))  # type: ignore[arg-type]
    operation = CREATE if old is None else UPDATE
    try:
        await chain.validate(Attributes(operation, PODS, subresource, "default", "web", new, old, ANONYMOUS))
    except Forbidden as error:
        return error.message.removeprefix('pods "web" is forbidden: ')
    return ""


CANNOT_DELETE = "cannot set an ownerRef on a resource you can't delete: no rule, <nil>"
CANNOT_HOLD = (
    "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: "
    "no rule, <nil>"
)
NO_KIND = (
    "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion example.com/v1 "
    'Kind Widget: no matches for kind "Widget" in version "example.com/v1"'
)


@pytest.mark.parametrize(
    ("old", "new", "rights", "text"),
    [
        (None, owned(), [], ""),
        (None, owned(owner()), [], ""),
        (None, owned(owner(blocks=True)), [], CANNOT_HOLD),
        (None, owned(owner(blocks=True)), [HOLD_SET], ""),
        (None, owned(owner("Node", blocks=True)), [HOLD_NODE], ""),
        (None, owned(owner("Widget", blocks=True)), [], NO_KIND),
        (owned(owner()), owned(owner()), [], ""),
        (owned(), owned(owner()), [], CANNOT_DELETE),
        (owned(owner()), owned(), [], CANNOT_DELETE),
        (owned(), owned(owner()), [DELETE_POD], ""),
        (owned(owner()), owned(owner(blocks=True)), [DELETE_POD], CANNOT_HOLD),
        (owned(owner()), owned(owner(blocks=True)), [DELETE_POD, HOLD_SET], ""),
        (owned(owner(blocks=True)), owned(owner(blocks=True), owner("Node")), [DELETE_POD], ""),
    ],
)  # fmt: skip
async def test_rights(old: Any, new: Any, rights: list[str], text: str) -> None:
    assert await refusal(old, new, *rights) == text


async def test_a_kubelets_status_is_left_alone() -> None:
    assert await refusal(owned(), owned(owner()), subresource="status") == ""
    assert await refusal(owned(), owned(owner()), subresource="resize") == CANNOT_DELETE
