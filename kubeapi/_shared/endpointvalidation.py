"""The check that Endpoints and EndpointSlice share: an address traffic may be sent to.

Source: Kubernetes API reference, "EndpointAddress".
"""

from __future__ import annotations

from ipaddress import ip_address

from kubeapi._shared.validation import IP_RULE, Errors, Path


def check_endpoint_ip(errors: Errors, path: Path, value: str) -> None:
    try:
        address = ip_address(value)
    except ValueError:
        errors.invalid(path, value, IP_RULE)
        return
    if address.is_unspecified:
        errors.invalid(path, value, "may not be unspecified (0.0.0.0 or ::)")
    if address.is_loopback:
        errors.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        errors.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address.is_multicast and (address.version == 6 or value.startswith("224.0.0.")):
        errors.invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
