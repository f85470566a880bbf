"""Compresses large answers, outside the event loop.

Source: Kubernetes API concepts: bodies above 128 KiB are compressed where the client accepts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

MIN_BYTES = 128 * 1024
GZIP_FORMAT = 31  # zlib's wbits for a gzip header
LEVEL = 1  # igzip's: 0 is larger and hardly faster, 3 is four times slower


def worth_compressing(size: int) -> bool:
    return size > MIN_BYTES


async def gzip_pieces(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Compresses the pieces into one gzip stream; igzip lets other threads run meanwhile."""
    from isal import isal_zlib

    compressor = isal_zlib.compressobj(LEVEL, wbits=GZIP_FORMAT)
    for piece in pieces:
        compressed = await asyncio.to_thread(compressor.compress, piece)
        if compressed:
            yield compressed
    yield compressor.flush()
