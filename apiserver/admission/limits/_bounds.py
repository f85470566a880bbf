"""Decides what a LimitRange gives to the containers of a pod, and what it refuses.

Source: Kubernetes documentation, "Limit Ranges".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apimachinery.quantity import ResourceList, parse_quantity
from kubeapi.core.limitrange import CLAIM, CONTAINER, POD, LimitRange, LimitRangeItem
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.requests import pod_resources
from kubeapi.core.pod.spec import Container

ANNOTATION = "kubernetes.io/limit-ranger"


def set_defaults(limits: LimitRange, pod: Pod) -> None:
    """Completes requests and limits of the containers, and notes in an annotation what was set."""
    requests: ResourceList = {}
    maxima: ResourceList = {}
    for item in limits.spec.limits:
        if item.type == CONTAINER:
            requests.update(item.defaultRequest or {})
            maxima.update(item.default or {})
    texts: list[str] = []
    for kind, containers in (("container", pod.spec.containers), ("init container", pod.spec.initContainers)):
        for container in containers or ():
            texts += _complete(container, kind, requests, maxima)
    if texts:
        notes = pod.metadata.annotations or {}
        pod.metadata.annotations = {**notes, ANNOTATION: f"LimitRanger plugin set: {'; '.join(texts)}"}


def _complete(container: Container, kind: str, requests: ResourceList, limits: ResourceList) -> Iterator[str]:
    """Yields what was set: "cpu, memory request for container a"."""
    resources = container.resources
    for word, own, defaults in (("request", resources.requests, requests), ("limit", resources.limits, limits)):
        added = {name: value for name, value in defaults.items() if name not in (own or {})}
        if added:
            setattr(resources, f"{word}s", {**(own or {}), **added})
            yield f"{', '.join(sorted(added))} {word} for {kind} {container.name}"


def pod_refusals(limits: LimitRange, pod: Pod) -> list[str]:
    """Says what a LimitRange has against a pod, without repetition."""
    texts: list[str] = []
    for item in limits.spec.limits:
        if item.type == CONTAINER:
            for container in (*pod.spec.containers, *(pod.spec.initContainers or ())):
                texts += _Amounts.of(container).refusals(item)
        elif item.type == POD:
            requests, maxima = (pod_resources(pod.spec, field, overhead=False) for field in ("requests", "limits"))
            texts += _Amounts(requests, maxima).refusals(item)
    return list(dict.fromkeys(texts))


def claim_refusals(limits: LimitRange, requests: ResourceList) -> list[str]:
    """Says what a LimitRange has against a claim for storage."""
    texts: list[str] = []
    for item in limits.spec.limits:
        if item.type == CLAIM:
            for word, bounds in (("minimum", item.min), ("maximum", item.max)):
                for name, bound in sorted((bounds or {}).items()):
                    rule = f"{word} {name} usage per {CLAIM} is {bound}"
                    if name not in requests:
                        texts.append(f"{rule}.  No request is specified")
                    elif _breaks(word, requests[name], bound):
                        texts.append(f"{rule}, but request is {requests[name]}")
    return texts


def _breaks(word: str, amount: str, bound: str) -> bool:
    value, limit = parse_quantity(amount), parse_quantity(bound)
    return value < limit if word == "minimum" else value > limit


@dataclass(frozen=True, slots=True)
class _Amounts:
    """The requests and limits of a container or a whole pod."""

    requests: ResourceList
    limits: ResourceList

    @classmethod
    def of(cls, container: Container) -> _Amounts:
        return cls(container.resources.requests or {}, container.resources.limits or {})

    def refusals(self, item: LimitRangeItem) -> Iterator[str]:
        for name, bound in sorted((item.min or {}).items()):
            yield from self._check(item, "minimum", name, bound, ("request", "limit"))
        for name, bound in sorted((item.max or {}).items()):
            yield from self._check(item, "maximum", name, bound, ("limit", "request"))
        for name, bound in sorted((item.maxLimitRequestRatio or {}).items()):
            yield from self._check_ratio(item, name, bound)

    def _check(self, item: LimitRangeItem, word: str, name: str, bound: str, order: tuple[str, str]) -> Iterator[str]:
        """`order` names first the amount that must be stated, then the other, which must fit if it is."""
        rule = f"{word} {name} usage per {item.type} is {bound}"
        amounts = {"request": self.requests.get(name), "limit": self.limits.get(name)}
        if amounts[order[0]] is None:
            yield f"{rule}.  No {order[0]} is specified"
            return
        for which in order:
            amount = amounts[which]
            if amount is not None and _breaks(word, amount, bound):
                yield f"{rule}, but {which} is {amount}"
                return

    def _check_ratio(self, item: LimitRangeItem, name: str, bound: str) -> Iterator[str]:
        rule = f"{name} max limit to request ratio per {item.type} is {bound}, but"
        request, limit = (parse_quantity(amounts.get(name, "0")) for amounts in (self.requests, self.limits))
        if not request:
            yield f"{rule} no request is specified or request is 0"
        elif not limit:
            yield f"{rule} no limit is specified or limit is 0"
        elif limit / request > parse_quantity(bound):
            yield f"{rule} provided ratio is {float(limit / request):f}"
