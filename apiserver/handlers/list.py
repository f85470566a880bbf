"""GET on a collection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

from apimachinery.resource import Resource
from apiserver.codec import tables
from apiserver.handlers._shared import check_shape
from apiserver.http import negotiation
from apiserver.http.gzip import gzip_pieces, worth_compressing
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request, Response, Stream
from apiserver.request.query import ListOptions, check_fields, parse_list_options
from apiserver.storage.interface import ListPage


async def list_(request: Request, store: Store[Any]) -> Answer:
    """Answers with a list as of one revision, or one page of it."""
    resource = store.resource
    options = parse_list_options(request.query)
    check_fields(resource, options)
    if request.representation.shape:
        check_shape(resource, request.representation, many=True)
    return await answer_page(request, resource, await read_page(store, store.namespace_of(request.info), options))


async def answer_page(request: Request, resource: Resource[Any], page: ListPage) -> Answer:
    """The page in the shape and format that the client wants."""
    representation = request.representation
    as_is = representation.format == "json" and not representation.pretty
    gzip = as_is and negotiation.accepts_gzip(request.header(b"accept-encoding"))
    if representation.shape:
        include = tables.include_object(request.parameter("includeObject"))
        return await _answer(
            tables.transform_list(resource, page.entries, list_meta(page), representation, include), gzip=gzip
        )
    return await _answer_plain(resource, page, gzip=gzip, whole=not as_is)


async def read_page(store: Store[Any], namespace: str, options: ListOptions) -> ListPage:
    return await store.storage.list(
        store.resource,
        namespace,
        labels=options.labels,
        fields=options.fields,
        revision=options.revision,
        match=options.match,
        limit=options.limit,
        continue_token=options.continue_token,
    )


def list_meta(page: ListPage) -> bytes:
    """The fields inside a list's `metadata`, encoded. What storage does not hold has no revision: that page's is 0."""
    if not page.revision:
        return b""
    meta = b'"resourceVersion":"%d"' % page.revision
    if page.continue_token:
        meta += b',"continue":' + orjson.dumps(page.continue_token)
        if page.remaining is not None:
            meta += b',"remainingItemCount":%d' % page.remaining
    return meta


def list_head(resource: Resource[Any], page: ListPage) -> bytes:
    meta = list_meta(page)
    if resource.schema is not None and not page.continue_token:
        meta += b',"continue":""'  # as upstream writes lists that it has no type for
    return b'{"kind":"%b","apiVersion":"%b","metadata":{%b},"items":[' % (
        resource.list_kind.encode(),
        resource.api_version.encode(),
        meta,
    )


async def _answer_plain(resource: Resource[Any], page: ListPage, *, gzip: bool, whole: bool) -> Answer:
    pieces = [list_head(resource, page), *page.items(resource), b"]}"]
    size = sum(map(len, pieces))
    if gzip and worth_compressing(size):
        return Stream(gzip_pieces(pieces), gzip=True)
    if len(pieces) <= 3 or whole:
        return Response(b"".join(pieces))
    return Stream(_each(pieces), length=size)


async def _each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _answer(pieces: AsyncIterator[bytes], *, gzip: bool) -> Answer:
    """Pieces that are made while they are sent; small answers are sent whole."""
    body: list[bytes] = []
    async for piece in pieces:
        body.append(piece)
        await asyncio.sleep(0)
    if gzip and worth_compressing(sum(map(len, body))):
        return Stream(gzip_pieces(body), gzip=True)
    return Response(b"".join(body))
