"""Reads configuration files of daemons: YAML of a known kind, in which no field may be unknown.

Such a file decides who may do what and where pods run, so a misspelt field is an error and not a hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from apimachinery.errors import BadRequest, FieldError, join_errors
from apimachinery.fields.unknownfields import unknown_fields
from apimachinery.model import Model, from_dict
from apimachinery.text.yaml import YamlError, read_document

M = TypeVar("M", bound=Model)


class ConfigFileError(Exception):
    """A configuration can't be used; the text names the field."""


def read_file(file: str) -> Any:
    """Returns the content of a YAML file. Raises: ConfigFileError."""
    try:
        document = read_document(Path(file).read_bytes())
    except (OSError, YamlError) as error:
        raise ConfigFileError(str(error)) from None
    if document.repeated_keys:
        raise ConfigFileError(str(document.repeated_keys[0]))
    return document.value


def decode_config(document: Any, kinds: Mapping[tuple[str, str], type[M]]) -> M:
    """Decodes a document by its apiVersion and kind; `kinds` are those that are taken.

    Raises: ConfigFileError.
    """
    if not isinstance(document, dict):
        raise ConfigFileError("the configuration is not an object")
    version, kind = document.get("apiVersion"), document.get("kind")
    model = kinds.get((str(version), str(kind)))
    if model is None:
        known = ", ".join(f"{name} of {group}" for group, name in kinds)
        raise ConfigFileError(f"no kind {kind!r} of {version!r} is known here; there is {known}")
    content = {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}
    if unknown := unknown_fields(model, content):
        raise ConfigFileError(f"{kind}: {', '.join(unknown)}")
    try:
        return from_dict(model, content)
    except BadRequest as error:
        raise ConfigFileError(str(error)) from None


def require_valid(kind: str, errors: list[FieldError]) -> None:
    """Raises: ConfigFileError with all the errors, if there are any."""
    if errors:
        raise ConfigFileError(f"{kind}: {join_errors([str(error) for error in errors])}")
