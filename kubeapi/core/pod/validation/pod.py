"""Checks of a pod's spec, for pods and for templates.

Source: Kubernetes API reference, "PodSpec".
"""

from __future__ import annotations

import re

from apimachinery.names import dns_subdomain_errors, qualified_name_errors
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.spec import PodDNSConfig, PodSpec
from kubeapi.core.pod.template import PodTemplateSpec
from kubeapi.core.pod.validation.affinity import check_affinity, check_tolerations, check_topology_spread
from kubeapi.core.pod.validation.container import ContainerChecks
from kubeapi.core.pod.validation.resources import check_overhead, check_pod_resources
from kubeapi.core.pod.validation.security import check_pod_security
from kubeapi.core.pod.validation.volumes import (
    check_claim_names,
    check_resource_claims,
    check_token_volumes,
    check_volumes,
)

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_LENGTH = 2048
_MAX_DEADLINE_SECONDS = 2**31 - 1
_SEARCH_PATH = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*\.?\Z")
_NO_NAMES: frozenset[str] = frozenset()


def check_pod_spec(errors: Errors, path: Path, spec: PodSpec) -> None:
    """Checks the spec on its own, for pods and templates, in upstream's order."""
    volumes = check_volumes(errors, (*path, "volumes"), spec.volumes) if spec.volumes else {}
    claims = _NO_NAMES
    if spec.resourceClaims:
        claims = check_resource_claims(errors, (*path, "resourceClaims"), spec.resourceClaims)
    ContainerChecks(errors, path, spec, volumes, claims).check_all()
    if spec.resources is not None:
        check_pod_resources(errors, (*path, "resources"), spec)
    if spec.restartPolicy not in _RESTART_POLICIES:
        errors.check_one_of((*path, "restartPolicy"), spec.restartPolicy, _RESTART_POLICIES)
    if spec.dnsPolicy not in _DNS_POLICIES:
        errors.check_one_of((*path, "dnsPolicy"), spec.dnsPolicy, _DNS_POLICIES)
    if spec.nodeSelector:
        errors.check_labels((*path, "nodeSelector"), spec.nodeSelector)
    check_pod_security(errors, (*path, "securityContext"), spec)
    if spec.affinity is not None:
        check_affinity(errors, (*path, "affinity"), spec.affinity)
    if spec.dnsConfig is not None or spec.dnsPolicy == "None":
        _check_dns(errors, (*path, "dnsConfig"), spec.dnsPolicy, spec.dnsConfig)
    if spec.readinessGates or spec.schedulingGates:
        _check_gates(errors, path, spec)
    if spec.topologySpreadConstraints:
        check_topology_spread(errors, (*path, "topologySpreadConstraints"), spec.topologySpreadConstraints)
    if spec.hostnameOverride:
        _check_hostname_override(errors, path, spec)
    errors.check_subdomain((*path, "serviceAccountName"), spec.serviceAccountName)
    errors.check_subdomain((*path, "nodeName"), spec.nodeName)
    if spec.activeDeadlineSeconds is not None:
        at = (*path, "activeDeadlineSeconds")
        errors.check_range(at, spec.activeDeadlineSeconds, 1, _MAX_DEADLINE_SECONDS)
    if spec.hostname:
        errors.check_dns_label((*path, "hostname"), spec.hostname)
    if spec.subdomain:
        errors.check_dns_label((*path, "subdomain"), spec.subdomain)
    if spec.tolerations:
        check_tolerations(errors, (*path, "tolerations"), spec.tolerations)
    if spec.hostAliases:
        _check_aliases(errors, path, spec)
    errors.check_subdomain((*path, "priorityClassName"), spec.priorityClassName)
    errors.check_subdomain((*path, "runtimeClassName"), spec.runtimeClassName)
    if spec.preemptionPolicy is not None:
        errors.check_one_of((*path, "preemptionPolicy"), spec.preemptionPolicy, _PREEMPTION_POLICIES)
    if spec.overhead:
        check_overhead(errors, (*path, "overhead"), spec.overhead)
    if spec.os is not None:
        if not spec.os.name:
            errors.required((*path, "os", "name"), "cannot be empty")
        elif spec.os.name not in ("linux", "windows"):
            errors.not_supported((*path, "os"), spec.os.name, ("linux", "windows"))


def check_pod(errors: Errors, path: Path, name: str, spec: PodSpec) -> None:
    """Checks the spec of a pod of this name, with rules that do not apply to templates."""
    check_pod_spec(errors, path, spec)
    if spec.volumes and name:
        check_claim_names(errors, (*path, "volumes"), name, spec.volumes)
    if spec.volumes and not spec.serviceAccountName:
        check_token_volumes(errors, (*path, "volumes"), spec.volumes)
    lists = (
        ("containers", spec.containers),
        ("initContainers", spec.initContainers or ()),
        ("ephemeralContainers", spec.ephemeralContainers or ()),
    )
    for field, containers in lists:
        for index, container in enumerate(containers):
            image = container.image or ""
            if image != image.strip():
                at = (*path, field, index, "image")
                errors.invalid(at, image, "must not have leading or trailing whitespace")


def check_template(errors: Errors, path: Path, template: PodTemplateSpec) -> None:
    """Checks the template of a controller. Errors in its metadata are named as upstream names them."""
    errors.check_labels((*path, "labels"), template.metadata.labels)
    errors.check_annotations((*path, "annotations"), template.metadata.annotations)
    check_pod_spec(errors, (*path, "spec"), template.spec)
    if template.spec.ephemeralContainers:
        at = (*path, "spec", "ephemeralContainers")
        errors.forbidden(at, "ephemeral containers not allowed in pod template")


def check_always_template(errors: Errors, path: Path, template: PodTemplateSpec, kind: str) -> None:
    """Checks a template whose pods must restart always."""
    check_template(errors, path, template)
    if template.spec.restartPolicy != "Always":
        errors.not_supported((*path, "spec", "restartPolicy"), template.spec.restartPolicy, ("Always",))
    if template.spec.activeDeadlineSeconds is not None:
        at = (*path, "spec", "activeDeadlineSeconds")
        errors.forbidden(at, f"activeDeadlineSeconds in {kind} is not Supported")


def _check_hostname_override(errors: Errors, path: Path, spec: PodSpec) -> None:
    name = spec.hostnameOverride or ""
    if spec.setHostnameAsFQDN:
        errors.forbidden((*path, "hostnameOverride"), "may not be specified when setHostnameAsFQDN is true")
    if spec.hostNetwork:
        errors.forbidden((*path, "hostnameOverride"), "may not be specified when hostNetwork is true")
    if len(name) > 64:
        errors.too_long((*path, "hostnameOverride"), 64)
    errors.check_messages((*path, "hostnameOverride"), name, dns_subdomain_errors(name))


def _check_gates(errors: Errors, path: Path, spec: PodSpec) -> None:
    for index, condition in enumerate(spec.readinessGates or ()):
        at = (*path, "readinessGates", index, "conditionType")
        errors.check_messages(at, condition.conditionType, qualified_name_errors(condition.conditionType))
    names: set[str] = set()
    for index, gate in enumerate(spec.schedulingGates or ()):
        at = (*path, "schedulingGates", index)
        errors.check_messages(at, gate.name, qualified_name_errors(gate.name))
        if gate.name in names:
            errors.duplicate(at, gate.name)
        names.add(gate.name)
    if spec.schedulingGates and spec.nodeName:
        errors.forbidden((*path, "nodeName"), "cannot be set until all schedulingGates have been cleared")


def _check_aliases(errors: Errors, path: Path, spec: PodSpec) -> None:
    for index, alias in enumerate(spec.hostAliases or ()):
        errors.check_ip((*path, "hostAliases", index, "ip"), alias.ip)
        for number, hostname in enumerate(alias.hostnames or ()):
            at = (*path, "hostAliases", index, "hostnames", number)
            errors.check_messages(at, hostname, dns_subdomain_errors(hostname))


def _check_dns(errors: Errors, path: Path, policy: str, config: PodDNSConfig | None) -> None:
    if config is None:
        errors.required(path, f"must provide `dnsConfig` when `dnsPolicy` is {policy}")
        return
    nameservers, searches = config.nameservers or [], config.searches or []
    if policy == "None" and not nameservers:
        text = f"must provide at least one DNS nameserver when `dnsPolicy` is {policy}"
        errors.required((*path, "nameservers"), text)
        return
    if len(nameservers) > _MAX_NAMESERVERS:
        text = f"must not have more than {_MAX_NAMESERVERS} nameservers"
        errors.invalid((*path, "nameservers"), nameservers, text)
    for index, server in enumerate(nameservers):
        errors.check_ip((*path, "nameservers", index), server)
    if len(searches) > _MAX_SEARCHES:
        errors.invalid((*path, "searches"), searches, f"must not have more than {_MAX_SEARCHES} search paths")
    if len(" ".join(searches)) > _MAX_SEARCH_LENGTH:
        text = f"must not have more than {_MAX_SEARCH_LENGTH} characters (including spaces) in the search list"
        errors.invalid((*path, "searches"), searches, text)
    for index, search in enumerate(searches):
        if search != "." and (len(search) > 253 or not _SEARCH_PATH.match(search)):
            name = search.removesuffix(".")
            errors.check_messages((*path, "searches", index), search, dns_subdomain_errors(name))
    for index, option in enumerate(config.options or ()):
        if not option.name:
            errors.required((*path, "options", index), "must not be empty")
