"""An answer that is written while the engine is being read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from litestar.response import Stream

from lookalike.adapter import deadline
from lookalike.adapter.records.points import Record
from lookalike.api.envelopes import OK_STATUS, Clock


async def stream_document(pages: AsyncIterator[list[Record]]) -> Stream:
    """All records as one JSON document, written while the engine is being read.

    Where the first page cannot be read, the answer is an error. Where reading fails midway, the
    connection is closed before the document is complete: a client sees broken JSON and never a
    short list.
    """

    async def chunks() -> AsyncIterator[bytes]:
        clock, count = Clock(), 0
        before = b'{"status":' + msgspec.json.encode(OK_STATUS) + b',"answer_records":['
        async for records in pages:
            yield before + msgspec.json.encode(records)[1:-1]
            before = b","
            count += len(records)
            # A client may take its time over a long answer; each page has the whole deadline.
            deadline.restart()
        tail = {"answer_count": count, "statistics": clock.statistics(total_records=count)}
        yield (b"" if count else before) + b"]," + msgspec.json.encode(tail)[1:]

    written = chunks()
    first = await anext(written)

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in written:
            yield chunk

    return Stream(all_chunks, media_type="application/json", status_code=200)
