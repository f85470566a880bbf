"""OwnerReferencesPermissionEnforcement: whoever changes the owners of an object must be allowed to delete it, and
whoever lets it hold up the deletion of an owner must be allowed to set that one's finalizers.

Source: Kubernetes documentation, "Admission Controllers: OwnerReferencesPermissionEnforcement".
"""

from __future__ import annotations

from typing import Any

from apimachinery.meta import OwnerReference
from apimachinery.resource import Resource
from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, refused
from apiserver.auth.authorization.authorizer import decide
from apiserver.request.info import access

_CANNOT_DELETE = "cannot set an ownerRef on a resource you can't delete"
_CANNOT_HOLD = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on"


async def check(attributes: Attributes, lookup: Lookup) -> None:
    resource = attributes.resource
    if resource.plural == "pods" and not resource.group and attributes.subresource == "status":
        return
    owners = attributes.obj.metadata.ownerReferences or []
    before = (attributes.old.metadata.ownerReferences or []) if attributes.old is not None else []
    if owners == before:
        return
    if attributes.operation != CREATE:
        name, subresource = attributes.name, attributes.subresource
        await _require(attributes, lookup, resource, "delete", name, subresource, why=_CANNOT_DELETE)
    held = {owner.uid for owner in before if owner.blockOwnerDeletion}
    for owner in owners:
        if owner.blockOwnerDeletion and owner.uid not in held:
            kind = _kind_of(attributes, lookup, owner)
            await _require(attributes, lookup, kind, "update", owner.name, "finalizers", why=_CANNOT_HOLD)


def _kind_of(attributes: Attributes, lookup: Lookup, owner: OwnerReference) -> Resource[Any]:
    """Raises: Forbidden."""
    resource = lookup.of_kind(owner.apiVersion, owner.kind)
    if resource is None:
        where = f"APIVersion {owner.apiVersion} Kind {owner.kind}"
        raise refused(
            attributes,
            f"cannot set blockOwnerDeletion in this case because cannot find RESTMapping for {where}: "
            f'no matches for kind "{owner.kind}" in version "{owner.apiVersion}"',
        )
    return resource


async def _require(
    attributes: Attributes,
    lookup: Lookup,
    resource: Resource[Any],
    verb: str,
    name: str,
    subresource: str,
    *,
    why: str,
) -> None:
    """Raises: Forbidden unless the user may do this as well."""
    request = access(
        verb,
        resource.plural,
        name,
        group=resource.group,
        version=resource.version,
        namespace=attributes.namespace if resource.namespaced else "",
        subresource=subresource,
    )
    decision = await decide(lookup.authorizer, attributes.user, request)
    if not decision.allowed:
        raise refused(attributes, f"{why}: {decision.reason}, {decision.error or '<nil>'}")


ADMISSION = Plugin(
    "OwnerReferencesPermissionEnforcement", frozenset({CREATE, UPDATE}), validate=check, on_by_default=False
)
