"""The routes of OpenAPI. Documents are made in a thread when the first client asks, and kept compressed."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from struct import pack
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from apimachinery.catalogue import Catalogue
from apimachinery.errors import NotAcceptable
from apimachinery.resource import Resource
from apiserver.discovery.foreign import ForeignVersions
from apiserver.discovery.openapi.custom import custom_name
from apiserver.http.negotiation import accepts_gzip, by_preference
from apiserver.pipeline.routes import not_served
from apiserver.subresources._subresource import Subresource, Subresources
from componentbase import logs

if TYPE_CHECKING:
    from apiserver.discovery.openapi.api import Api

GroupVersion = tuple[str, str]

log = logs.logger(__name__)
Kinds = tuple[Resource[Any], ...]

JSON = "application/json"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V2_PROTOBUF_OLD = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
FOR_EVER = "public, max-age=31536000, immutable"
GZIP_FORMAT = 31  # zlib's wbits for a gzip header
GZIP_HEAD = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))
LAST_BLOCK = b"\x03\0"  # of a deflated stream: nothing more


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


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a document, compressed so that others can follow in the same stream."""

    deflated: bytes

    @classmethod
    def of(cls, body: bytes) -> Piece:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return cls(compressor.compress(body) + compressor.flush(zlib.Z_FULL_FLUSH))

    @property
    def plain(self) -> bytes:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(self.deflated)


def joined(pieces: Sequence[Piece]) -> Document:
    """One document of all pieces. They stay compressed, but for a look at their content for its checksum."""
    checksum, size, digest = 0, 0, hashlib.sha512()
    for piece in pieces:
        plain = piece.plain
        checksum, size = zlib.crc32(plain, checksum), size + len(plain)
        digest.update(plain)
    body = b"".join(piece.deflated for piece in pieces)
    end = LAST_BLOCK + pack("<II", checksum, size & 0xFFFFFFFF)
    return Document(GZIP_HEAD + body + end, digest.hexdigest()[:64].upper())


class V2Parts(NamedTuple):
    """The pieces that kinds add to the v2 document."""

    paths: Piece
    definitions: Piece
    protobuf: Piece


class Documents:
    """The documents. Each is made at the first request that needs it, which also imports the modules that make it.

    Those of custom kinds are made for each version of a group alone, and again only when its kinds have changed.
    """

    def __init__(
        self, catalogue: Catalogue, subresources: Subresources, version: str, foreign: ForeignVersions
    ) -> None:
        """Versions of other servers (`foreign`) are parts of v2, and in the index of v3, whose documents those give."""
        self._catalogue = catalogue
        self._foreign = foreign
        self._built_in = Catalogue([kind for kind in catalogue.kinds() if kind.schema is None])
        self._subresources = subresources
        self._version = version
        self._v3: dict[str, Document] = {}
        self._custom_v3: dict[GroupVersion, tuple[Kinds, Document]] = {}
        self._digests: dict[GroupVersion, tuple[Kinds, str]] = {}
        self._first_v2: V2Parts | None = None
        self._joined_v2: dict[bool, tuple[list[Piece], Document]] = {}
        """Whether it is protobuf -> the whole document, and what it is made of."""
        self._custom_v2: dict[GroupVersion, tuple[Kinds, V2Parts]] = {}
        self._foreign_v2: tuple[int, list[V2Parts]] = -1, []
        """The edition of what others serve, and what they add."""
        self._making = asyncio.Lock()  # other requests wait here, not in a thread
        self.settle: Callable[[], Awaitable[None]] = _at_once
        """Returns once all kinds are served that are defined at the moment of the call."""

    async def v3_digests(self) -> dict[str, str]:
        """Returns the names of the documents, one for each place of discovery, and what tells one from its next."""
        await self._make_built_in()
        custom = self._custom_kinds()
        _forget(self._digests, custom)
        for group_version, kinds in custom.items():
            if group_version not in self._digests:
                self._digests[group_version] = kinds, self._digest(kinds)
        digests = {name: document.digest for name, document in self._v3.items()}
        digests |= {v3_name(*names): digest for names, (_, digest) in self._digests.items()}
        foreign = {v3_name(*names): item.openapi_digest for names, item in self._foreign.all.items()}
        return digests | {name: digest for name, digest in foreign.items() if digest}

    async def v3(self, name: str) -> Document | None:
        """Returns the document of this name; None if there is none."""
        await self._make_built_in()
        custom = self._custom_kinds()
        group_version = next((names for names in custom if v3_name(*names) == name), None)
        if group_version is None:
            return self._v3.get(name)
        kinds = custom[group_version]
        async with self._making:
            _forget(self._custom_v3, custom)
            if group_version not in self._custom_v3:
                made = await asyncio.to_thread(self._make_v3, self._api_of(kinds))
                self._custom_v3[group_version] = kinds, replace(made[name], digest=self._digest(kinds))
            return self._custom_v3[group_version][1]

    async def _make_built_in(self) -> None:
        await self.settle()
        async with self._making:
            if not self._v3:
                self._v3 = await asyncio.to_thread(self._make_v3, self._api())

    def _digest(self, kinds: Kinds) -> str:
        """Stands for a document that need not be made for that."""
        facts = [[kind.plural, kind.kind, kind.schema.raw() if kind.schema else None] for kind in kinds]
        subresources = [item.name for kind in kinds for item in self._subresources.of(kind)]
        text = orjson.dumps([self._version, facts, subresources])
        return hashlib.sha512(text).hexdigest()[:64].upper()

    async def v2(self, *, protobuf: bool) -> Document:
        """Returns the one document, in either form."""
        await self.settle()
        async with self._making:
            if self._first_v2 is None:
                self._first_v2 = await asyncio.to_thread(self._make_first_v2)
            custom = self._custom_kinds()
            _forget(self._custom_v2, custom)
            for group_version, kinds in custom.items():
                if group_version not in self._custom_v2:
                    made = await asyncio.to_thread(self._make_further_v2, self._api_of(kinds), kinds)
                    self._custom_v2[group_version] = kinds, made
            if self._foreign_v2[0] != self._foreign.edition:
                self._foreign_v2 = await asyncio.to_thread(self._make_foreign_v2, self._first_v2)
            parts = [self._first_v2, *(made for _, made in self._custom_v2.values()), *self._foreign_v2[1]]
            if protobuf:
                pieces = [part.protobuf for part in parts]
            else:
                pieces = [*(part.paths for part in parts), *(part.definitions for part in parts), Piece.of(b"}}")]
            known = self._joined_v2.get(protobuf)
            if known is None or known[0] != pieces:
                known = self._joined_v2[protobuf] = pieces, await asyncio.to_thread(joined, pieces)
            return known[1]

    def _custom_kinds(self) -> dict[GroupVersion, Kinds]:
        custom: dict[GroupVersion, Kinds] = {}
        for kind in self._catalogue:
            if kind.schema is not None:
                custom[(kind.group, kind.version)] = (*custom.get((kind.group, kind.version), ()), kind)
        return custom

    def _api(self) -> Api:
        from apiserver.discovery.openapi.api import Api

        return Api(self._built_in, [item for item in self._subresources if self._is_built_in(item)], self._version)

    def _is_built_in(self, item: Subresource) -> bool:
        return any(item.belongs_to(kind) for kind in self._built_in)

    def _api_of(self, kinds: Kinds) -> Api:
        from apiserver.discovery.openapi.api import Api

        bodies = [kind for kind in self._built_in.kinds() if not kind.verbs]
        subresources = [item for kind in kinds for item in self._subresources.of(kind)]
        return Api(Catalogue([*bodies, *kinds]), subresources, self._version, discovery=False)

    def _make_v3(self, api: Api) -> dict[str, Document]:
        from apiserver.discovery.openapi import v3

        return {name: packed(body) for name, body in v3.documents(api)}

    def _make_first_v2(self) -> V2Parts:
        from apiserver.discovery.openapi import v2

        return V2Parts(*map(Piece.of, v2.first_part(self._api())))

    def _make_further_v2(self, api: Api, kinds: Kinds) -> V2Parts:
        from apiserver.discovery.openapi import v2

        names = [name for kind in kinds for name in (custom_name(kind), f"{custom_name(kind)}List")]
        return V2Parts(*map(Piece.of, v2.further_part(api, names)))

    def _make_foreign_v2(self, first: V2Parts) -> tuple[int, list[V2Parts]]:
        from apiserver.discovery.openapi import v2

        edition, parts = self._foreign.edition, []
        taken = set(orjson.loads(b"{" + first.definitions.plain.partition(b'"definitions":{')[2] + b"}"))
        for group_version, foreign in self._foreign.all.items():
            if not foreign.openapi_v2:
                continue
            try:
                part = v2.foreign_part(orjson.loads(foreign.openapi_v2), group_version, taken)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                log.warning("OpenAPI v2 of another server left out", version=v3_name(*group_version), error=repr(error))
                continue
            parts.append(V2Parts(*map(Piece.of, part)))
        return edition, parts


def _forget(made: dict[GroupVersion, tuple[Kinds, Any]], kinds: dict[GroupVersion, Kinds]) -> None:
    """Drops what was made of other kinds than there are now."""
    for group_version, (before, _) in list(made.items()):
        if kinds.get(group_version) != before:
            del made[group_version]


async def _at_once() -> None:
    """No kinds come at run time."""


def v3_name(group: str, version: str) -> str:
    return f"apis/{group}/{version}"


def index(digests: dict[str, str]) -> bytes:
    """Makes the answer of /openapi/v3: each URL carries the hash of its document, so that clients can cache it for
    ever."""
    urls = {name: f"/openapi/v3/{name}?hash={digest}" for name, digest in digests.items()}
    return orjson.dumps({"paths": {name: {"serverRelativeURL": url} for name, url in urls.items()}})


def add_routes(web: FastAPI, documents: Documents) -> None:
    @web.get("/openapi/v2")
    async def v2(request: Request) -> Response:
        kind = v2_type(request.headers.get("accept", ""))
        return _answer(request, await documents.v2(protobuf=kind != JSON), kind, {"vary": "Accept"})

    @web.get("/openapi/v3")
    async def v3_index() -> Response:
        return Response(index(await documents.v3_digests()), media_type=JSON)

    @web.get("/openapi/v3/{name:path}")
    async def v3(request: Request, name: str) -> Response:
        document = await documents.v3(name)
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
