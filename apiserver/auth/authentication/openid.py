"""Publishes what others need to verify service account tokens: the issuer's discovery document and its keys.

Source: OpenID Connect Discovery 1.0; Kubernetes documentation, "Service account issuer discovery".
"""

from __future__ import annotations

import orjson
from fastapi import FastAPI
from starlette.responses import Response

from apiserver.auth.authentication.tokens import JWKS_PATH, ServiceAccountTokens

CONFIGURATION = "/.well-known/openid-configuration"
CACHED = {"cache-control": "public, max-age=3600"}


def add_openid(web: FastAPI, tokens: ServiceAccountTokens) -> None:
    @web.get(CONFIGURATION)
    @web.get(CONFIGURATION + "/")
    async def configuration() -> Response:
        document = {
            "issuer": tokens.issuers[0],
            "jwks_uri": tokens.jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({key.algorithm for key in tokens.keys}),
        }
        return Response(orjson.dumps(document), media_type="application/json", headers=CACHED)

    @web.get(JWKS_PATH)
    @web.get(JWKS_PATH + "/")
    async def keys() -> Response:
        document = {"keys": [key.jwk() for key in tokens.keys]}
        return Response(orjson.dumps(document), media_type="application/jwk-set+json", headers=CACHED)
