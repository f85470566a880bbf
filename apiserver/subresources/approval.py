"""`certificatesigningrequests/approval`: the decision about a request, which has a right of its own."""

from __future__ import annotations

from apiserver.handlers.get import get
from apiserver.handlers.patch import patch
from apiserver.handlers.update import update
from apiserver.subresources._subresource import Subresource
from kubeapi.certificates.certificatesigningrequest import APPROVAL, RESOURCE

SUBRESOURCE = Subresource(
    RESOURCE.plural,
    APPROVAL,
    {"get": get, "update": update, "patch": patch},
    kind=RESOURCE.kind,
    group=RESOURCE.group,
    resource_group=RESOURCE.group,
)
