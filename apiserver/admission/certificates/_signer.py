"""The rights that concern a signer of certificates: `approve` and `sign` on the virtual resource `signers`."""

from __future__ import annotations

from apiserver.admission._plugin import Attributes, Lookup, refused
from apiserver.auth.authorization.authorizer import decide
from apiserver.request.info import access
from kubeapi.certificates.certificatesigningrequest import GROUP


async def check_signer(attributes: Attributes, lookup: Lookup, verb: str, signer: str) -> None:
    """Requires the right on `domain/path`, or on all signers of the domain as `domain/*`. Raises: Forbidden."""
    domain = signer.partition("/")[0]
    for name in (signer, f"{domain}/*"):
        if (await decide(lookup.authorizer, attributes.user, access(verb, "signers", name, group=GROUP))).allowed:
            return
    raise refused(attributes, f'user not permitted to {verb} requests with signerName "{signer}"')
