"""Builds a kustomization: resources, generators, components, then what the kustomization's fields change in all."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apimachinery.yaml import to_yaml
from kubectl.cli.command import UsageError
from kubectl.kustomize import fields
from kubectl.kustomize.generators import generate
from kubectl.kustomize.hashing import content_hash
from kubectl.kustomize.patches import apply_patches, apply_strategic
from kubectl.kustomize.reading import Folder, check_texts, documents, missing, refuse_remote
from kubectl.kustomize.references import fix_references
from kubectl.kustomize.resources import Resource, absorb

Dict = dict[str, Any]

_OLD = {
    "bases": "resources",
    "imageTags": "images",
    "commonLabels": "labels",
    "patchesJson6902": "patches",
    "patchesStrategicMerge": "patches",
}
_KNOWN = frozenset({
    "apiVersion", "kind", "metadata", "resources", "bases", "components", "namespace", "namePrefix", "nameSuffix",
    "labels", "commonLabels", "commonAnnotations", "images", "imageTags", "replicas", "patches",
    "patchesStrategicMerge", "patchesJson6902", "configMapGenerator", "secretGenerator", "generatorOptions",
    "sortOptions",
})  # fmt: skip
_UNSUPPORTED = frozenset({
    "buildMetadata", "configurations", "crds", "generators", "helmChartInflationGenerator", "helmCharts",
    "helmGlobals", "inventory", "openapi", "replacements", "transformers", "validators", "vars",
})  # fmt: skip
_UNPREFIXED = ("Namespace", "CustomResourceDefinition", "APIService")
_FIRST = (
    "Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount", "PodSecurityPolicy",
    "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap", "Secret", "Endpoints", "Service",
    "LimitRange", "PriorityClass", "PersistentVolume", "PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob",
    "PodDisruptionBudget",
)  # fmt: skip
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
LINE_WIDTH = 80  # as kustomize breaks long text
_LOCAL = "config.kubernetes.io/local-config"


def build(path: str, warn: Callable[[str], None] = lambda text: print(text, file=sys.stderr)) -> str:
    """The objects as YAML, in the order in which they should be created. Raises: UsageError."""
    refuse_remote(path)
    folder = Path(path)
    if not folder.is_dir():
        if folder.exists():
            raise UsageError(f"must build at directory: '{folder.resolve()}': file is not directory")
        raise UsageError(
            "must build at directory: not a valid directory: "
            f"evalsymlink failure on '{path}' : lstat {folder.absolute()}: no such file or directory"
        )
    top = Target(Folder(folder.resolve()), warn)
    resources = top.accumulate([])
    for resource in resources:
        if resource.hashed:
            resource.rename(f"{resource.id.name}-{content_hash(resource.obj)}")
    fix_references(resources)
    resources = [r for r in resources if (r.obj["metadata"].get("annotations") or {}).get(_LOCAL) != "true"]
    if top.sorted:
        resources.sort(key=_rank)
    return "---\n".join(to_yaml(resource.obj, LINE_WIDTH) for resource in resources)


def _rank(resource: Resource) -> tuple[int, tuple[str, ...]]:
    name = resource.id
    at = 0
    if name.kind in _FIRST:
        at = _FIRST.index(name.kind) - len(_FIRST)
    elif name.kind in _LAST:
        at = 1 + _LAST.index(name.kind)
    return at, (name.group or "~G", name.version, name.kind, name.namespace or "~X", name.name)


class Target:
    """One kustomization. Raises from its methods: UsageError."""

    def __init__(self, folder: Folder, warn: Callable[[str], None], above: tuple[Path, ...] = ()) -> None:
        if folder.path in above:
            raise UsageError(f"cycle detected: candidate root '{folder.path}' contains visited root '{folder.path}'")
        self._folder, self._warn, self._above = folder, warn, (*above, folder.path)
        self.says, self._file = folder.kustomization()
        self._check()

    def _check(self) -> None:
        unknown = sorted(set(self.says) - _KNOWN - _UNSUPPORTED)
        if unknown:
            raise UsageError(f'invalid Kustomization: json: unknown field "{unknown[0]}"')
        unsupported = sorted(name for name in _UNSUPPORTED if self.says.get(name))
        if unsupported:
            where = self._folder.path / self._file
            raise UsageError(f"{where}: not supported by mini-kubectl: {', '.join(unsupported)}")
        kind = self.says.get("kind") or "Kustomization"
        if kind not in ("Kustomization", "Component"):
            raise UsageError(
                f"Failed to read kustomization file under {self._folder.path}:\n"
                "kind should be Kustomization or Component"
            )
        self.component = kind == "Component"
        for old, new in _OLD.items():
            if self.says.get(old) is not None:
                self._warn(
                    f"# Warning: '{old}' is deprecated. Please use '{new}' instead. "
                    "Run 'kustomize edit fix' to update your Kustomization automatically."
                )
        if all(self.says.get(name) is None for name in _KNOWN - {"apiVersion", "kind", "metadata"}):
            raise UsageError("kustomization.yaml is empty")
        check_texts(self.says)

    @property
    def sorted(self) -> bool:
        options = self.says.get("sortOptions") or {}
        order = options.get("order", "legacy")
        if order not in ("legacy", "fifo") or options.get("legacySortOptions"):
            raise UsageError("sortOptions: only the orders 'legacy' and 'fifo' are supported by mini-kubectl")
        return bool(order == "legacy")

    def accumulate(self, given: list[Resource]) -> list[Resource]:
        """Its resources, changed; a component changes those `given` as well."""
        says, folder = self.says, self._folder
        found = list(given)
        for name in [*(says.get("resources") or ()), *(says.get("bases") or ())]:
            try:
                found = absorb(found, self._read(name))
            except UsageError as error:
                raise self._blaming(name, error) from error
        shared = says.get("generatorOptions") or {}
        found = generate(found, "ConfigMap", says.get("configMapGenerator") or [], shared, folder)
        found = generate(found, "Secret", says.get("secretGenerator") or [], shared, folder)
        for name in says.get("components") or ():
            component = Target(folder.folder(name), self._warn, self._above)
            if not component.component:
                raise UsageError(
                    "accumulating components: accumulateDirectory: \"expected kind 'Component' for path "
                    f"'{folder.folder(name).path}' but got 'Kustomization'\""
                )
            found = component.accumulate(found)
        return self._transform(found)

    def _blaming(self, name: str, error: UsageError) -> UsageError:
        """The error of one resource, as kustomize tells it: it tries a file, then a folder."""
        path = self._folder.path / name
        if str(error).startswith("MalformedYAMLError"):
            return UsageError(f"accumulating resources: accumulating resources from '{name}': {error}")
        if path.is_dir():
            first, then = f"accumulating resources from '{name}': '{path.resolve()}' must resolve to a file", str(error)
        else:
            doing = "merging" if str(error).startswith("may not add") else "accumulating"
            first, then = f"{doing} resources from '{name}': {error}", f"must build at directory: '{path.resolve()}': "
            then += "file is not directory"
            if not path.exists():
                then = f"must build at directory: not a valid directory: {missing(path)}"
        return UsageError(f"accumulating resources: accumulation err='{first}': {then}")

    def _read(self, name: str) -> list[Resource]:
        refuse_remote(name)
        if (self._folder.path / name).is_dir():
            base = Target(self._folder.folder(name), self._warn, self._above)
            if base.component:
                raise UsageError(f"expected kind != 'Component' for path '{base._folder.path}'")
            return base.accumulate([])
        found: list[Resource] = []
        for document in documents(self._folder.read(name), name):
            items = document.get("items") if isinstance(document, dict) else None
            is_list = isinstance(items, list) and str(document.get("kind", "")).endswith("List")
            for obj in items if is_list and items is not None else [document]:
                found = absorb(found, [self._resource(obj, name)])
        return found

    def _resource(self, obj: Any, name: str) -> Resource:
        fine = isinstance(obj, dict) and obj.get("kind") and obj.get("apiVersion")
        meta = obj.get("metadata") if fine else None
        if not isinstance(meta, dict) or not meta.get("name"):
            raise UsageError("it holds an object without kind, apiVersion or name")
        resource = Resource(copy.deepcopy(obj))
        if not meta.get("annotations", True):
            del resource.obj["metadata"]["annotations"]  # kustomize drops them where they are empty
        return resource

    def _transform(self, found: list[Resource]) -> list[Resource]:
        says, folder = self.says, self._folder
        found = apply_strategic(found, says.get("patchesStrategicMerge") or [], folder)
        found = apply_patches(found, says.get("patches") or [], folder)
        if namespace := says.get("namespace"):
            _set_namespace(found, namespace)
        _rename(found, says.get("namePrefix") or "", says.get("nameSuffix") or "")
        self._label(found)
        if annotations := says.get("commonAnnotations"):
            _put(found, fields.ANNOTATIONS, annotations)
        found = apply_patches(found, says.get("patchesJson6902") or [], folder)
        for replica in says.get("replicas") or ():
            _set_replicas(found, replica)
        for image in [*(says.get("images") or ()), *(says.get("imageTags") or ())]:
            change = _image_change(image)
            for resource in found:
                _each_image(resource.obj, change)
        return found

    def _label(self, found: list[Resource]) -> None:
        for entry in self.says.get("labels") or ():
            unknown = set(entry) - {"pairs", "includeSelectors", "includeTemplates"}
            if unknown:
                raise UsageError(f"not supported by mini-kubectl in labels: {', '.join(sorted(unknown))}")
            where: tuple[fields.Field, ...] = fields.LABELS
            if entry.get("includeSelectors"):
                where = fields.SELECTOR_LABELS
            elif entry.get("includeTemplates"):
                where = (*fields.TEMPLATE_LABELS, *fields.LABELS)
            _put(found, where, entry.get("pairs") or {})
        _put(found, fields.SELECTOR_LABELS, self.says.get("commonLabels") or {})


def _put(found: list[Resource], where: tuple[fields.Field, ...], values: dict[str, str]) -> None:
    if not values:
        return
    for resource in found:
        for field in where:
            fields.at(resource.obj, field, fields.put_all(values))


def _set_namespace(found: list[Resource], namespace: str) -> None:
    for resource in found:
        kind = resource.id.kind
        if kind == "Namespace":
            resource.rename(name=namespace)
        elif resource.namespaced:
            resource.rename(namespace=namespace)
        if kind in ("RoleBinding", "ClusterRoleBinding"):
            for subject in resource.obj.get("subjects") or ():  # other accounts' follow by reference
                if subject.get("kind") == "ServiceAccount" and subject.get("name") == "default":
                    subject["namespace"] = namespace
    try:
        absorb([], found)
    except UsageError as error:
        raise UsageError(f"namespace transformation produces ID conflict: {error}") from error


def _rename(found: list[Resource], prefix: str, suffix: str) -> None:
    for resource in found:
        if (prefix or suffix) and resource.id.kind not in _UNPREFIXED:
            resource.rename(f"{prefix}{resource.id.name}{suffix}")
        resource.prefixes += [prefix] if prefix else []
        resource.suffixes += [suffix] if suffix else []


def _set_replicas(found: list[Resource], replica: Dict) -> None:
    name, done = str(replica.get("name", "")), False
    for resource in found:
        if not any(i.name == name for i in resource.ids):
            continue
        for field in fields.REPLICAS:
            if resource.id.kind == field.kind:
                resource.obj.setdefault("spec", {})["replicas"] = replica.get("count", 0)
                done = True
    if not done:
        kinds = " ".join(f"{field.kind}.[noVer].[noGrp]" for field in fields.REPLICAS)
        raise UsageError(f"resource with name {name} does not match a config with the following GVK [{kinds}]")


def _image_change(entry: Dict) -> Callable[[str], str]:
    if entry.get("tagSuffix"):
        raise UsageError("not supported by mini-kubectl in images: tagSuffix")
    unknown = set(entry) - {"name", "newName", "newTag", "digest"}
    if unknown:
        raise UsageError(f'invalid Kustomization: json: unknown field "{sorted(unknown)[0]}"')
    pattern = re.compile(
        rf"(?P<name>{re.escape(str(entry.get('name', '')))})(?::(?P<tag>[a-zA-Z0-9_.{{}}-]*))?"
        r"(?:@(?P<digest>sha256:[a-zA-Z0-9_.{}-]*))?"
    )

    def change(image: str) -> str:
        match = pattern.fullmatch(image)
        if match is None:
            return image
        name, tag, digest = entry.get("newName") or match["name"], match["tag"] or "", match["digest"] or ""
        if entry.get("newTag") or entry.get("digest"):
            tag, digest = str(entry.get("newTag") or ""), entry.get("digest") or ""
        return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")

    return change


def _each_image(node: Any, change: Callable[[str], str]) -> None:
    """Of every list of containers, wherever it stands."""
    if isinstance(node, list):
        for item in node:
            _each_image(item, change)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                for container in value:
                    if isinstance(container, dict) and isinstance(container.get("image"), str):
                        container["image"] = change(container["image"])
            _each_image(value, change)
