"""References by name: they follow their objects through prefixes, suffixes and hashes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubectl.kustomize.fields import TEMPLATES, Field, at
from kubectl.kustomize.resources import Id, Resource

Dict = dict[str, Any]

_POD_PATHS = {
    "ConfigMap": (
        "volumes/configMap/name",
        "volumes/projected/sources/configMap/name",
        "containers/env/valueFrom/configMapKeyRef/name",
        "initContainers/env/valueFrom/configMapKeyRef/name",
        "containers/envFrom/configMapRef/name",
        "initContainers/envFrom/configMapRef/name",
    ),
    "Secret": (
        "volumes/secret/secretName",
        "volumes/projected/sources/secret/name",
        "containers/env/valueFrom/secretKeyRef/name",
        "initContainers/env/valueFrom/secretKeyRef/name",
        "containers/envFrom/secretRef/name",
        "initContainers/envFrom/secretRef/name",
        "imagePullSecrets/name",
    ),
    "ServiceAccount": ("serviceAccountName",),
    "PersistentVolumeClaim": ("volumes/persistentVolumeClaim/claimName",),
    "PriorityClass": ("priorityClassName",),
}
_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_OTHERS = {
    **dict.fromkeys(
        ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"),
        (Field("spec/scaleTargetRef/name", "HorizontalPodAutoscaler"),),
    ),
    "ConfigMap": (Field("rules/resourceNames", "Role"), Field("rules/resourceNames", "ClusterRole")),
    "Secret": (
        Field("spec/tls/secretName", "Ingress"),
        Field("imagePullSecrets/name", "ServiceAccount"),
        *(
            Field(f"parameters/{name}", "StorageClass")
            for name in ("secretName", "adminSecretName", "userSecretName", "secretRef")
        ),
        Field("rules/resourceNames", "Role"),
        Field("rules/resourceNames", "ClusterRole"),
        Field("spec/azureFile/secretName", "PersistentVolume"),
    ),
    "Service": (
        Field("spec/serviceName", "StatefulSet", group="apps"),
        Field("spec/rules/http/paths/backend/service/name", "Ingress"),
        Field("spec/defaultBackend/service/name", "Ingress"),
        Field("spec/service/name", "APIService"),
        *(Field("webhooks/clientConfig/service/name", kind) for kind in _WEBHOOKS),
        Field("spec/rules/backendRefs/name", "HTTPRoute"),
    ),
    "Role": (Field("roleRef/name", "RoleBinding"),),
    "ClusterRole": (Field("roleRef/name", "RoleBinding"), Field("roleRef/name", "ClusterRoleBinding")),
    "ServiceAccount": (Field("subjects/name", "RoleBinding"), Field("subjects/name", "ClusterRoleBinding")),
    "PersistentVolume": (
        Field("spec/volumeName", "PersistentVolumeClaim"),
        Field("rules/resourceNames", "ClusterRole"),
    ),
    "StorageClass": (
        Field("spec/storageClassName", "PersistentVolume"),
        Field("spec/storageClassName", "PersistentVolumeClaim"),
        Field("spec/volumeClaimTemplates/spec/storageClassName", "StatefulSet"),
    ),
    "IngressClass": (Field("spec/ingressClassName", "Ingress"),),
}


def _fields(kind: str) -> Iterator[Field]:
    for path in _POD_PATHS.get(kind, ()):
        yield Field(f"spec/{path}", "Pod")
        yield Field(f"template/spec/{path}", "PodTemplate")
        for workload, template in TEMPLATES.items():
            yield Field(f"{template}/spec/{path}", workload)
    yield from _OTHERS.get(kind, ())


def fix_references(resources: list[Resource]) -> None:
    """Every field that names another object of the kustomization names it as it is called now."""
    for kind in dict.fromkeys(resource.id.kind for resource in resources):
        renamed = [resource for resource in resources if resource.id.kind == kind]
        if all(name == resource.id for resource in renamed for name in resource.names):
            continue
        for field in _fields(kind):
            for referrer in resources:
                at(referrer.obj, Field(field.path, field.kind, False, field.group), _Fix(kind, renamed, referrer))


class _Fix:
    """Changes one field of `referrer` that may name one of `renamed`."""

    def __init__(self, kind: str, renamed: list[Resource], referrer: Resource) -> None:
        self._kind, self._renamed, self._referrer = kind, renamed, referrer

    def __call__(self, node: Dict, name: str) -> None:
        # A subject, or the service of a webhook: it says the namespace too, and that follows as well.
        whole = (self._kind == "ServiceAccount" and "kind" in node) or self._referrer.id.kind in _WEBHOOKS
        if not whole and node.get("kind", self._kind) != self._kind:
            return  # a role or a scale target of another kind
        value = node[name]
        if isinstance(value, list):
            node[name] = [self._current(item, self._near()).name if isinstance(item, str) else item for item in value]
        elif isinstance(value, str):
            found = self._current(value, self._in(node.get("namespace")) if whole else self._near())
            node[name] = found.name
            if whole and found.namespace:
                node["namespace"] = found.namespace

    def _near(self) -> list[Resource]:
        """Those that are in the referrer's namespace now, where both are in one."""
        if not self._referrer.namespaced:
            return self._renamed
        here = self._referrer.id.namespace or "default"
        return [r for r in self._renamed if not r.namespaced or (r.id.namespace or "default") == here]

    def _in(self, namespace: str | None) -> list[Resource]:
        """Those that were in this namespace, or are now."""
        if not namespace:
            return self._renamed
        before = [resource for resource in self._renamed if resource.ids[0].namespace == namespace]
        return before or [resource for resource in self._renamed if resource.id.namespace == namespace]

    def _current(self, old: str, candidates: list[Resource]) -> Id:
        """What the one that was called `old` is called now; without a kind where there is none."""
        found = [resource for resource in candidates if any(i.name == old for i in resource.ids)]
        if len(found) > 1:
            mine = (self._referrer.prefixes, self._referrer.suffixes)
            found = [resource for resource in found if (resource.prefixes, resource.suffixes) == mine] or found
        new = {resource.id for resource in found}
        return new.pop() if len(new) == 1 else Id("", "", "", old, "")
