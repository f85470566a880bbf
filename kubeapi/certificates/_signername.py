"""Checks the name of a signer."""

from __future__ import annotations

from apimachinery.names import dns_label_errors, dns_subdomain_errors
from apimachinery.validation import Errors, Path

MAX_DOMAIN = 253  # characters
MAX_SIGNER_PATH = 253 + 63 + 1  # a subdomain, a label and the dot between them


def check_signer_name(errors: Errors, path: Path, name: str) -> None:
    """Checks "domain/path": DNS labels with a dot between them, a slash, and DNS subdomains."""
    if not name:
        errors.required(path)
        return
    if name.count("/") != 1:
        errors.invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    domain, _, rest = name.partition("/")
    if len(domain) > MAX_DOMAIN:
        errors.too_long(path, MAX_DOMAIN)
    labels = domain.split(".")
    for label in labels:
        errors.check_messages(path, domain, (f'validating label "{label}": {why}' for why in dns_label_errors(label)))
    if len(labels) < 2:
        errors.invalid(path, domain, "should be a domain with at least two segments separated by dots")
    for label in rest.split("."):
        why_not = dns_subdomain_errors(label)
        errors.check_messages(path, rest, (f'validating label "{label}": {why}' for why in why_not))
    if len(rest) > MAX_SIGNER_PATH:
        errors.too_long(path, MAX_SIGNER_PATH)
