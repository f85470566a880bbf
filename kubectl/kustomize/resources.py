"""The objects of a kustomization on their way: what they were called before, and which of them a selector means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kubectl.cli.command import UsageError

Dict = dict[str, Any]

_CLUSTER_SCOPED = (
    "APIService CertificateSigningRequest ClusterRole ClusterRoleBinding ComponentStatus CSIDriver CSINode "
    "CustomResourceDefinition FlowSchema IngressClass IPAddress MutatingWebhookConfiguration Namespace Node "
    "PersistentVolume PodSecurityPolicy PriorityClass PriorityLevelConfiguration RuntimeClass SelfSubjectAccessReview "
    "SelfSubjectReview SelfSubjectRulesReview ServiceCIDR StorageClass SubjectAccessReview TokenReview "
    "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration VolumeAttachment"
)
_OUTSIDE = frozenset(_CLUSTER_SCOPED.split())


class Id(NamedTuple):
    """One name of an object; in `str()` as kustomize writes it."""

    group: str
    version: str
    kind: str
    name: str
    namespace: str

    def __str__(self) -> str:
        type_ = f"{self.kind}.{self.version}.{self.group or '[noGrp]'}"
        return f"{type_}/{self.name}.{self.namespace or '[noNs]'}"

    @property
    def type(self) -> str:
        return f"{self.kind}.{self.version}.{self.group or '[noGrp]'}"


def id_of(obj: Dict) -> Id:
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    meta = obj.get("metadata") or {}
    return Id(group, version, str(obj.get("kind", "")), str(meta.get("name", "")), str(meta.get("namespace") or ""))


@dataclass
class Resource:
    """An object, and all it has been called: a reference may use any of its names."""

    obj: Dict
    names: list[Id] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    suffixes: list[str] = field(default_factory=list)
    hashed: bool = False
    generated: bool = False

    @property
    def id(self) -> Id:
        return id_of(self.obj)

    @property
    def ids(self) -> list[Id]:
        return [*self.names, self.id]

    @property
    def namespaced(self) -> bool:
        return self.id.kind not in _OUTSIDE

    def rename(self, name: str | None = None, namespace: str | None = None) -> None:
        self.names.append(self.id)
        meta = self.obj.setdefault("metadata", {})
        if name is not None:
            meta["name"] = name
        if namespace is not None:
            meta["namespace"] = namespace


@dataclass(frozen=True)
class Selector:
    """The `target` of a patch; every text is a regular expression for the whole of what it is compared with."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    labelSelector: str = ""
    annotationSelector: str = ""

    def choose(self, resources: list[Resource]) -> Iterator[Resource]:
        from apimachinery.selectors import parse_label_selector

        labels, annotations = parse_label_selector(self.labelSelector), parse_label_selector(self.annotationSelector)
        for resource in resources:
            meta = resource.obj.get("metadata") or {}
            if not any(self._means(name) for name in resource.ids):
                continue
            if labels.matches(meta.get("labels") or {}) and annotations.matches(meta.get("annotations") or {}):
                yield resource

    def _means(self, name: Id) -> bool:
        wanted = (self.group, self.version, self.kind, self.name, self.namespace)
        try:
            return all(not text or re.fullmatch(text, have) for text, have in zip(wanted, name, strict=True))
        except re.error as error:
            raise UsageError(f"invalid regular expression in the target of a patch: {error}") from error


def absorb(resources: list[Resource], added: list[Resource]) -> list[Resource]:
    """Raises: UsageError where two have one name."""
    taken = {resource.id for resource in resources}
    for resource in added:
        if resource.id in taken:
            raise UsageError(f"may not add resource with an already registered id: {resource.id}")
        taken.add(resource.id)
    return resources + added
