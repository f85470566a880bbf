"""GET on a collection, and with `watch` a stream of its changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

from apimachinery.resource import Resource
from apimachinery.selectors import FieldSelector
from apiserver import negotiation, tables
from apiserver.context import Context
from apiserver.gzip import gzip_pieces, worth_compressing
from apiserver.handlers._shared import Target, check_shape
from apiserver.handlers.watch import watch
from apiserver.messages import Answer, Request, Response, Stream
from apiserver.query import ListOptions, check_fields, parse_list_options
from apiserver.storage.interface import ListPage


async def list_(context: Context, request: Request, target: Target) -> Answer:
    """A list as of one revision, or one page of it."""
    resource = target.resource
    options = with_name(parse_list_options(request.query), request.info.name)
    if options.watch or request.info.verb == "watch":
        return await watch(context, request, target, options)
    check_fields(resource, options)
    wanted = request.wanted
    if wanted.shape:
        check_shape(resource, wanted, many=True)
    namespace = request.info.namespace if resource.namespaced else ""
    page = await read_page(target, namespace, options)
    as_is = wanted.format == "json" and not wanted.pretty
    gzip = as_is and negotiation.accepts_gzip(request.header(b"accept-encoding"))
    if wanted.shape:
        include = tables.include_object(request.parameter("includeObject"))
        return await _answer(tables.transform_list(resource, page.entries, list_meta(page), wanted, include), gzip=gzip)
    return await _answer_plain(resource, page, gzip=gzip, whole=not as_is)


async def read_page(target: Target, namespace: str, options: ListOptions) -> ListPage:
    return await target.store.storage.list(
        target.resource,
        namespace,
        labels=options.labels,
        fields=options.fields,
        revision=options.revision,
        match=options.match,
        limit=options.limit,
        continue_token=options.continue_token,
    )


def with_name(options: ListOptions, name: str) -> ListOptions:
    """For the old path /api/v1/watch/…/NAME: the same as a field selector on the name."""
    if not name:
        return options
    from dataclasses import replace

    already = options.fields.requirements if options.fields else ()
    return replace(options, fields=FieldSelector((*already, ("metadata.name", "=", name))))


def list_meta(page: ListPage) -> bytes:
    """What stands inside a list's `metadata`."""
    meta = b'"resourceVersion":"%d"' % page.revision
    if page.continue_token:
        meta += b',"continue":' + orjson.dumps(page.continue_token)
        if page.remaining is not None:
            meta += b',"remainingItemCount":%d' % page.remaining
    return meta


def list_head(resource: Resource[Any], page: ListPage) -> bytes:
    return b'{"kind":"%b","apiVersion":"%b","metadata":{%b},"items":[' % (
        resource.list_kind.encode(),
        resource.api_version.encode(),
        list_meta(page),
    )


async def _answer_plain(resource: Resource[Any], page: ListPage, *, gzip: bool, whole: bool) -> Answer:
    pieces = [list_head(resource, page), *page.items(), b"]}"]
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
    made: list[bytes] = []
    async for piece in pieces:
        made.append(piece)
        await asyncio.sleep(0)
    size = sum(map(len, made))
    if gzip and worth_compressing(size):
        return Stream(gzip_pieces(made), gzip=True)
    return Response(b"".join(made))
