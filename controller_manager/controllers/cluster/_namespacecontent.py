"""Sums up what is left in a namespace that is being deleted, and words the conditions that say so. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from apimachinery.conditions import set_condition
from apimachinery.errors import resource_name
from apimachinery.meta import Object
from apimachinery.times import format_time
from kubeapi.core.namespace import NamespaceCondition
from kubeclient.discovery import APIResource

NEEDED_VERBS = frozenset(("list", "delete"))


@dataclass
class Findings:
    """`remaining`: resource -> number of objects; `finalizers`: finalizer -> number of objects that wait for it."""

    remaining: dict[str, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    unread_groups: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """True when it is certain that nothing is left."""
        return not (self.remaining or self.errors or self.unread_groups)

    def note_objects(self, resource: APIResource, objects: Iterable[Object]) -> None:
        count = 0
        for obj in objects:
            count += 1
            for finalizer in obj.metadata.finalizers or ():
                self.finalizers[finalizer] = self.finalizers.get(finalizer, 0) + 1
        if count:
            self.remaining[resource_name(resource.name, resource.group)] = count


def content_resources(resources: Iterable[APIResource]) -> list[APIResource]:
    """Lists the resources whose objects go with a namespace, pods first: what they use should outlive them."""
    deletable = [
        each for each in resources if each.namespaced and not each.is_subresource and set(each.verbs) >= NEEDED_VERBS
    ]
    return sorted(deletable, key=lambda each: not is_pods(each))


def is_pods(resource: APIResource) -> bool:
    return resource.name == "pods" and not resource.group


def conditions(current: list[NamespaceCondition] | None, findings: Findings, now: float) -> list[NamespaceCondition]:
    """Returns the five conditions of a namespace that is being deleted, with upstream's types, reasons and messages."""
    remaining = ", ".join(
        f"{name} has {count} resource instances" for name, count in sorted(findings.remaining.items())
    )
    waiting = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(findings.finalizers.items()))
    unread = ", ".join(findings.unread_groups)
    errors = ", ".join(findings.errors)
    result = list(current or ())
    for kind, reason, message, good_reason, good_message in (
        (
            "NamespaceDeletionDiscoveryFailure",
            "DiscoveryFailed",
            unread and f"Discovery failed for some groups: {unread}",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "GroupVersionParsingFailed",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "ContentDeletionFailed",
            errors and f"Failed to delete all resource types, {len(findings.errors)} remaining: {errors}",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            "SomeResourcesRemain",
            remaining and f"Some resources are remaining: {remaining}",
            "ContentRemoved",
            "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain",
            waiting and f"Some content in the namespace has finalizers remaining: {waiting}",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ):
        new = NamespaceCondition(
            type=kind,
            status="True" if message else "False",
            lastTransitionTime=format_time(now),
            reason=reason if message else good_reason,
            message=message or good_message,
        )
        result = set_condition(result, new)
    return result
