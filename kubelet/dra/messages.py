"""The messages between the kubelet and drivers of dynamic resources: DRAPlugin v1, which v1beta1 is like."""

from __future__ import annotations

from dataclasses import field

from kubelet.plugins.message import Message

SERVICES = {
    "v1.DRAPlugin": "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin",
    "v1beta1.DRAPlugin": "/k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin",
}
"""Paths of the services by the names that drivers register with, the best first."""


class Claim(Message):
    """The ResourceClaim that is to be prepared."""

    namespace: str = ""
    uid: str = ""
    name: str = ""


class ClaimsRequest(Message):
    """Asks the driver to prepare its devices of these claims, or no longer to."""

    claims: tuple[Claim, ...] = ()


class Device(Message):
    """A device that is ready; none of `request_names` means that it is for all requests."""

    request_names: tuple[str, ...] = ()
    pool_name: str = ""
    device_name: str = ""
    cdi_device_ids: tuple[str, ...] = ()


class PrepareResult(Message):
    """The devices of one claim, or why there are none."""

    devices: tuple[Device, ...] = ()
    error: str = ""


class PrepareResponse(Message):
    """An answer for each claim, by its uid."""

    claims: dict[str, PrepareResult] = field(default_factory=dict)


class UnprepareResult(Message):
    """Why a claim's devices are still prepared; "" if they aren't."""

    error: str = ""


class UnprepareResponse(Message):
    """An answer for each claim, by its uid."""

    claims: dict[str, UnprepareResult] = field(default_factory=dict)
