"""What a CustomResourceDefinition may say besides its schemas: names, versions, columns, subresources."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from apimachinery.errors import FieldError
from apimachinery.names import dns_1035_label_errors, dns_subdomain_errors
from apimachinery.validation import Errors, Path
from apiserver.apiextensions.schema.definition.conversion import check_conversion
from apiserver.apiextensions.schema.definition.openapi import MAX_DEPTH, check_schema, is_too_deep
from apiserver.apiextensions.schema.definition.rules import MOST_CHARACTERS, characters
from apiserver.apiextensions.schema.definition.structural import subschemas
from apiserver.apiextensions.schema.fieldpath import resolve
from apiserver.apiextensions.schema.formats import is_known

Json = Mapping[str, Any]

MAX_SELECTABLE_FIELDS = 8
MAX_DEPRECATION_WARNING = 256  # characters

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SELECTABLE_TYPES = ("string", "boolean", "integer")
_APPROVAL = "api-approved.kubernetes.io"
_APPROVAL_HELP = "see https://github.com/kubernetes/enhancements/pull/1111"
_MISSING_VERSION = (
    "missing from spec.versions; {0} was previously a storage version, and must remain in spec.versions until a "
    "storage migration ensures no data remains persisted in {0} and removes {0} from status.storedVersions"
)


def check_definition(crd: Json, old: Json | None = None) -> list[FieldError]:
    """Lists the faults of a definition in v1, defaulted, as plain JSON types; `old` is what an update replaces.

    Members that are the same in all versions are checked once, and named as if they stood in the spec itself:
    `spec.validation`, `spec.subresources`, `spec.additionalPrinterColumns`, `spec.selectableFields`.
    """
    errors, spec = Errors(), crd.get("spec") or {}
    names, group = spec.get("names") or {}, spec.get("group") or ""
    if old is None and crd["metadata"].get("name") != f"{names.get('plural') or ''}.{group}":
        errors.invalid(("metadata", "name"), crd["metadata"].get("name"), 'must be spec.names.plural+"."+spec.group')
    _check_group(errors, group)
    errors.check_one_of(("spec", "scope"), spec.get("scope"), ("Cluster", "Namespaced"))
    versions = spec.get("versions") or []
    before = (old or {}).get("spec", {}).get("versions") or []
    if (count := characters(versions)) > max(MOST_CHARACTERS, characters(before)):
        errors.forbidden(("spec", "versions"), f"the rules have {count} characters, and may have {MOST_CHARACTERS}")
        return errors  # without a look at them
    _check_versions(errors, versions, before)
    for name in ("plural", "singular", "kind", "listKind"):
        if not names.get(name):
            errors.required(("spec", "names", name))
    _check_names(errors, ("spec", "names"), names)
    _check_shared(errors, versions, old)
    check_conversion(errors, spec.get("conversion") or {}, (old or {}).get("spec", {}).get("conversion") or {})
    if old is not None:
        _check_changes(errors, crd, old)
    status = crd.get("status") or {}
    _check_names(errors, ("status", "acceptedNames"), status.get("acceptedNames") or {})
    _check_stored(errors, status.get("storedVersions"), versions)
    _check_approval(errors, crd, old)
    if spec.get("preserveUnknownFields") and not (old or {}).get("spec", {}).get("preserveUnknownFields"):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        errors.invalid(("spec", "preserveUnknownFields"), True, text)
    return errors


def definition_warnings(crd: Json) -> list[str]:
    """Lists what a definition says in vain: formats that are not known."""
    versions = (crd.get("spec") or {}).get("versions") or []
    schemas = [schema for version in versions if (schema := _schema(version)) is not None]
    unknown: dict[str, None] = {}
    while schemas:
        schema = schemas.pop()
        schemas += subschemas(schema)
        if (name := schema.get("format")) and not is_known(name):
            unknown[name] = None
    return [f'unrecognized format "{name}"' for name in sorted(unknown)]


# -- groups and names


def _check_group(errors: Errors, group: str) -> None:
    if not group:
        errors.required(("spec", "group"))
    elif messages := dns_subdomain_errors(group):
        errors.invalid(("spec", "group"), group, ",".join(messages))
    elif "." not in group:
        errors.invalid(("spec", "group"), group, "should be a domain with at least one dot")


def _check_names(errors: Errors, at: Path, names: Json) -> None:
    for name in ("plural", "singular"):
        _check_label(errors, (*at, name), names.get(name))
    for name in ("kind", "listKind"):
        text = names.get(name) or ""
        if text and (messages := dns_1035_label_errors(text.lower())):
            rule = "may have mixed case, but should otherwise match: " + ",".join(messages)
            errors.invalid((*at, name), text, rule)
    for index, text in enumerate(names.get("shortNames") or ()):
        _check_label(errors, (*at, "shortNames", index), text, empty=True)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        errors.invalid((*at, "listKind"), names["listKind"], "kind and listKind may not be the same")
    for index, text in enumerate(names.get("categories") or ()):
        _check_label(errors, (*at, "categories", index), text, empty=True)


def _check_label(errors: Errors, at: Path, text: str | None, *, empty: bool = False) -> None:
    """Requires a DNS-1035 label; `empty` refuses the empty one, too."""
    if (text or empty) and (messages := dns_1035_label_errors(text or "")):
        errors.invalid(at, text, ",".join(messages))


def _check_approval(errors: Errors, crd: Json, old: Json | None) -> None:
    """Groups of Kubernetes itself need the word of those who review its API."""
    group = crd["spec"].get("group") or ""
    if not group.endswith((".k8s.io", ".kubernetes.io")):
        return
    path: Path = ("metadata", "annotations", f"[{_APPROVAL}]")
    value = (crd["metadata"].get("annotations") or {}).get(_APPROVAL) or ""
    if _is_approved(value) or (old is not None and not _is_approved(_approval(old))):
        return
    if not value:
        errors.required(path, f'protected groups must have approval annotation "{_APPROVAL}", {_APPROVAL_HELP}')
    else:
        rule = f'protected groups must have approval annotation "{_APPROVAL}" with either a URL or a reason starting '
        errors.invalid(path, value, f'{rule}with "unapproved", {_APPROVAL_HELP}')


def _approval(crd: Json) -> str:
    return (crd["metadata"].get("annotations") or {}).get(_APPROVAL) or ""


def _is_approved(value: str) -> bool:
    if value.startswith("unapproved"):
        return True
    try:
        url = urlsplit(value)
    except ValueError:
        return False
    return bool(url.scheme and url.netloc)


# -- versions


def _check_versions(errors: Errors, versions: list[Json], old: list[Json]) -> None:
    path: Path = ("spec", "versions")
    if _shared(versions, _schema) is None:
        was = {version.get("name"): _schema(version) for version in old}
        for index, version in enumerate(versions):
            if _schema(version) is None and was.get(version.get("name"), version) is not None:
                errors.required((*path, index, "schema", "openAPIV3Schema"))
    for index, version in enumerate(versions):
        at = (*path, index)
        _check_label(errors, (*at, "name"), version.get("name"), empty=True)
        _check_deprecation(errors, (*at, "deprecationWarning"), version)
        for member, check in _MEMBERS.items():
            if (value := member(version)) is not None and _shared(versions, member) is None:
                check(errors, at, value, version, _named(old, version))
    names = [version.get("name") or "" for version in versions]
    if len(set(names)) < len(names):
        errors.append(_invalid_versions(versions, "must contain unique version names"))
    if sum(1 for version in versions if version.get("storage")) != 1:
        errors.append(_invalid_versions(versions, "must have exactly one version marked as storage version"))
    if names:
        _check_label(errors, ("spec", "version"), names[0])


def _invalid_versions(versions: list[Json], rule: str) -> FieldError:
    """Quotes the versions as upstream prints its own structures."""
    shown = [
        {
            "Name": version.get("name") or "",
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            "Schema": None,
            "Subresources": None,
            "AdditionalPrinterColumns": None,
            "SelectableFields": None,
        }
        for version in versions
    ]
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return FieldError("FieldValueInvalid", "spec.versions", f"Invalid value: {text}: {rule}")


def _check_deprecation(errors: Errors, at: Path, version: Json) -> None:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    if not version.get("deprecated"):
        errors.invalid(at, warning, "can only be set for deprecated versions")
        return
    if len(warning) > MAX_DEPRECATION_WARNING:
        errors.invalid(at, warning, f"must be <= {MAX_DEPRECATION_WARNING} characters long")
    if not warning:
        errors.invalid(at, warning, "must not be an empty string")
    for index, char in enumerate(warning):
        if not char.isprintable():
            rule = f"must only contain printable UTF-8 characters; non-printable character found at index {index}"
            errors.invalid(at, warning, rule)
            break


def _check_stored(errors: Errors, stored: list[str] | None, versions: list[Json]) -> None:
    path: Path = ("status", "storedVersions")
    if not stored:
        errors.invalid(path, stored or None, "must have at least one stored version")
        return
    names = [version.get("name") or "" for version in versions]
    for version in versions:
        if version.get("storage") and version["name"] not in stored:
            errors.invalid(path, stored, f"must have the storage version {version['name']}")
    for index, name in enumerate(stored):
        if name not in names:
            errors.invalid((*path, index), name, _MISSING_VERSION.format(name))


def _check_changes(errors: Errors, crd: Json, old: Json) -> None:
    new_spec, old_spec = crd["spec"], old["spec"]
    conditions = (old.get("status") or {}).get("conditions") or ()
    if any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions):
        errors.check_immutable(("spec", "scope"), new_spec.get("scope"), old_spec.get("scope"))
        errors.check_immutable(("spec", "names", "kind"), new_spec["names"].get("kind"), old_spec["names"].get("kind"))
    errors.check_immutable(("spec", "group"), new_spec.get("group"), old_spec.get("group"))
    plural = ("spec", "names", "plural")
    errors.check_immutable(plural, new_spec["names"].get("plural"), old_spec["names"].get("plural"))


# -- what versions have in common


def _schema(version: Json) -> Json | None:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    return schema if isinstance(schema, Mapping) else None


def _subresources(version: Json) -> Json | None:
    return version.get("subresources")


def _columns(version: Json) -> list[Json] | None:
    return version.get("additionalPrinterColumns") or None


def _selectable(version: Json) -> list[Json] | None:
    return version.get("selectableFields") or None


Member = Callable[[Json], Any]


def _shared(versions: list[Json], member: Member) -> Any:
    """Returns what all versions have; None if they differ."""
    first = member(versions[0]) if versions else None
    return first if all(member(version) == first for version in versions) else None


def _named(versions: Iterable[Json], like: Json) -> Json | None:
    return next((version for version in versions if version.get("name") == like.get("name")), None)


def _check_shared(errors: Errors, versions: list[Json], old: Json | None) -> None:
    for member, check in _MEMBERS.items():
        if (value := _shared(versions, member)) is not None:
            with_status = next((version for version in versions if _has_status(version)), versions[0])
            before = _named((old or {}).get("spec", {}).get("versions") or (), versions[0])
            check(errors, ("spec",), value, with_status, before)


def _has_status(version: Json) -> bool:
    return (version.get("subresources") or {}).get("status") is not None


def _check_version_schema(errors: Errors, at: Path, schema: Json, version: Json, old: Json | None) -> None:
    path: Path = (*at, "validation" if at == ("spec",) else "schema", "openAPIV3Schema")
    if is_too_deep(schema):
        errors.forbidden(path, f"must not be nested more than {MAX_DEPTH} levels deep")
        return
    errors += check_schema(schema, path, has_status=_has_status(version), old=_schema(old) if old else None)


def _check_subresources(errors: Errors, at: Path, subresources: Json, version: Json, old: Json | None) -> None:
    scale = subresources.get("scale")
    if scale is None:
        return
    for name, parents in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status"), ("labelSelectorPath", "")):
        path, text = (*at, "subresources", "scale", name), scale.get(name) or ""
        if not text:
            if parents:
                errors.required(path)
        elif _check_simple_path(errors, path, text):
            if parents and not text.startswith(f"{parents}."):
                errors.invalid(path, text, f"should be a json path under {parents}")
            elif not parents and not text.startswith((".spec.", ".status.")):
                errors.invalid(path, text, "should be a json path under either .spec or .status")


def _check_simple_path(errors: Errors, at: Path, text: str) -> bool:
    if text.startswith("."):
        return True
    errors.invalid(at, text, "must be a simple json path starting with .")
    return False


def _check_columns(errors: Errors, at: Path, columns: list[Json], version: Json, old: Json | None) -> None:
    for index, column in enumerate(columns):
        path = (*at, "additionalPrinterColumns", index)
        if not column.get("name"):
            errors.required((*path, "name"))
        types = f"must be one of {','.join(_COLUMN_TYPES)}"
        if not column.get("type"):
            errors.required((*path, "type"), types)
        elif column["type"] not in _COLUMN_TYPES:
            errors.invalid((*path, "type"), column["type"], types)
        if (form := column.get("format")) and form not in _COLUMN_FORMATS:
            errors.invalid((*path, "format"), form, f"must be one of {','.join(_COLUMN_FORMATS)}")
        if not column.get("jsonPath"):
            errors.required((*path, "JSONPath"))
        else:
            _check_simple_path(errors, (*path, "JSONPath"), column["jsonPath"])


def _check_selectable(errors: Errors, at: Path, fields: list[Json], version: Json, old: Json | None) -> None:
    schema, paths = _schema(version), set()
    if schema is None:
        errors.invalid((*at, "selectableFields"), "", "may only be set when validations.schema is included")
        return
    for index, field in enumerate(fields):
        path, text = (*at, "selectableFields", index, "jsonPath"), field.get("jsonPath") or ""
        if not text:
            errors.required(path)
            continue
        try:
            parts, target = resolve(text, schema, arrays=False)
        except ValueError as error:
            errors.invalid(path, text, f"is an invalid path: {error}")
            continue
        if parts[0] == "metadata":
            errors.invalid(path, text, "must not point to fields in metadata")
        if target.get("type") not in _SELECTABLE_TYPES:
            rule = "must point to a field of type string, boolean or integer. "
            errors.invalid(path, text, rule + "Enum string fields and strings with formats are allowed.")
        if parts in paths:
            errors.duplicate(path, text)
        paths.add(parts)
    if len(paths) > MAX_SELECTABLE_FIELDS:
        errors.too_many((*at, "selectableFields"), len(paths), MAX_SELECTABLE_FIELDS)


_MEMBERS: dict[Member, Callable[[Errors, Path, Any, Json, Json | None], None]] = {
    _schema: _check_version_schema,
    _subresources: _check_subresources,
    _columns: _check_columns,
    _selectable: _check_selectable,
}
