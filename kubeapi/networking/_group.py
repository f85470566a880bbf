"""What the kinds of networking.k8s.io share: the name of the group, and the check of references to other kinds."""

from __future__ import annotations

from apimachinery.names import dns_subdomain_errors, path_segment_errors
from apimachinery.validation import Errors, Path

GROUP = "networking.k8s.io"


def check_reference(errors: Errors, path: Path, group: str, kind: str, name: str) -> None:
    """Checks a reference to an object of any kind."""
    if group:
        errors.check_messages((*path, "apiGroup"), group, dns_subdomain_errors(group))
    errors.check_name((*path, "kind"), kind, path_segment_errors)
    errors.check_name((*path, "name"), name, path_segment_errors)
