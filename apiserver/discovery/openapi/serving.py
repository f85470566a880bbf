"""The routes of OpenAPI. Documents are made in a thread when the first client asks, and kept compressed."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from apimachinery.catalogue import Catalogue
from apimachinery.errors import NotAcceptable
from apiserver.http.negotiation import accepts_gzip, by_preference
from apiserver.pipeline.routes import not_served
from apiserver.subresources._subresource import Subresource

JSON = "application/json"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V2_PROTOBUF_OLD = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
FOR_EVER = "public, max-age=31536000, immutable"
GZIP_FORMAT = 31  # zlib's wbits for a gzip header


@dataclass(frozen=True, slots=True)
class Document:
    """A document, kept in memory only as `gzipped`; few clients want it otherwise."""

    gzipped: bytes
    digest: str

    @property
    def plain(self) -> bytes:
        return zlib.decompress(self.gzipped, GZIP_FORMAT)


def packed(body: bytes) -> Document:
    compressor = zlib.compressobj(wbits=GZIP_FORMAT)
    digest = hashlib.sha512(body).hexdigest()[:64].upper()
    return Document(compressor.compress(body) + compressor.flush(), digest)


class Documents:
    """The documents. Each form is made at the first request for it, which also imports the modules that make it."""

    def __init__(self, catalogue: Catalogue, subresources: Iterable[Subresource], version: str) -> None:
        self._catalogue = catalogue
        self._subresources = list(subresources)
        self._version = version
        self._made: dict[str, dict[str, Document]] = {}
        self._making = asyncio.Lock()  # other requests wait here, not in a thread

    async def get(self, form: str) -> dict[str, Document]:
        """ "v3" has a document for each name, "v2" and "v2-protobuf" one under ""."""
        if form not in self._made:
            async with self._making:
                if form not in self._made:
                    self._made[form] = await asyncio.to_thread(self._make, form)
        return self._made[form]

    def _make(self, form: str) -> dict[str, Document]:
        return {name: packed(body) for name, body in self._bodies(form)}

    def _bodies(self, form: str) -> Iterable[tuple[str, bytes]]:
        from apiserver.discovery.openapi import v2, v3
        from apiserver.discovery.openapi.api import Api

        api = Api(self._catalogue, self._subresources, self._version)
        if form == "v3":
            return v3.documents(api)
        make: Callable[[Api], bytes] = v2.json_document if form == "v2" else v2.protobuf_document
        return [("", make(api))]


def index(documents: dict[str, Document]) -> bytes:
    """Makes the answer of /openapi/v3: each URL carries the hash of its document, so that clients can cache it for
    ever."""
    urls = {name: f"/openapi/v3/{name}?hash={document.digest}" for name, document in documents.items()}
    return orjson.dumps({"paths": {name: {"serverRelativeURL": url} for name, url in urls.items()}})


def add_routes(web: FastAPI, documents: Documents) -> None:
    @web.get("/openapi/v2")
    async def v2(request: Request) -> Response:
        kind = v2_type(request.headers.get("accept", ""))
        by_name = await documents.get("v2" if kind == JSON else "v2-protobuf")
        return _answer(request, by_name[""], kind, {"vary": "Accept"})

    @web.get("/openapi/v3")
    async def v3_index() -> Response:
        return Response(index(await documents.get("v3")), media_type=JSON)

    @web.get("/openapi/v3/{name:path}")
    async def v3(request: Request, name: str) -> Response:
        document = (await documents.get("v3")).get(name)
        if document is None:
            raise not_served()
        immutable = request.query_params.get("hash") == document.digest
        return _answer(request, document, JSON, {"cache-control": FOR_EVER} if immutable else {})


def v2_type(accept: str) -> str:
    """The content type of the answer. Raises: NotAcceptable."""
    for media_type, _ in by_preference(accept.encode("latin-1") or b"*/*"):
        if media_type in (V2_PROTOBUF, V2_PROTOBUF_OLD):
            return V2_PROTOBUF
        if media_type in (JSON, "application/*", "*/*"):
            return JSON
    raise NotAcceptable(f"only the following media types are accepted: {JSON}, {V2_PROTOBUF}")


def _answer(request: Request, document: Document, media_type: str, headers: dict[str, str]) -> Response:
    headers = {"etag": f'"{document.digest}"'} | headers
    headers["vary"] = ", ".join(filter(None, [headers.get("vary"), "Accept-Encoding"]))
    if _matches(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(status_code=304, headers=headers)
    if accepts_gzip(request.headers.get("accept-encoding", "").encode("latin-1")):
        headers["content-encoding"] = "gzip"
        return Response(document.gzipped, media_type=media_type, headers=headers)
    return Response(document.plain, media_type=media_type, headers=headers)


def _matches(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
