"""AlwaysPullImages: every container pulls its image, so that a pod can't use a private one that its node has by chance.

Source: Kubernetes documentation, "Admission Controllers: AlwaysPullImages".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from apimachinery.errors import join_errors, not_supported
from apimachinery.validation import Path, render
from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, refused, spec_of

ALWAYS = "Always"


def admit(attributes: Attributes, lookup: Lookup) -> None:
    if not _brings_images(attributes):
        return
    for policy in _policies(spec_of(attributes.obj)):
        setattr(policy.holder, policy.field, ALWAYS)


def check(attributes: Attributes, lookup: Lookup) -> None:
    """Refuses what a later plugin has changed back."""
    if not _brings_images(attributes):
        return
    errors = [
        str(not_supported(render(policy.path), getattr(policy.holder, policy.field), (ALWAYS,)))
        for policy in _policies(spec_of(attributes.obj))
        if getattr(policy.holder, policy.field) != ALWAYS
    ]
    if errors:
        raise refused(attributes, join_errors(errors))


def _brings_images(attributes: Attributes) -> bool:
    """Tells whether the pod is new, or names an image that it did not have before."""
    if attributes.operation == CREATE:
        return True
    return not _images(spec_of(attributes.obj)) <= _images(spec_of(attributes.old))


def _images(spec: Any) -> set[str | None]:
    return {policy.image for policy in _policies(spec)}


class _Policy(NamedTuple):
    """A place in a pod that says how an image is pulled."""

    path: Path
    holder: Any
    field: str
    """The attribute of `holder` that has the policy."""
    image: str | None


def _policies(spec: Any) -> Iterator[_Policy]:
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(getattr(spec, name) or ()):
            field = "imagePullPolicy"
            yield _Policy(("spec", name, index, field), container, field, container.image)
    for index, volume in enumerate(spec.volumes or ()):
        if volume.image is not None:
            path: Path = ("spec", "volumes", index, "image", "pullPolicy")
            yield _Policy(path, volume.image, "pullPolicy", volume.image.reference)


ADMISSION = Plugin(
    "AlwaysPullImages",
    frozenset({CREATE, UPDATE}),
    frozenset({"pods"}),
    mutate=admit,
    validate=check,
    on_by_default=False,
)
