"""Frames between an API process and the worker of the embedded engine.

A frame is a header, little endian `u32 length of the body, u64 number of the request`, and a body:
one of `messages` in msgpack. Answers carry the number of their request and may come in any order.

A frame without a body tells the worker that nobody waits for the answer to this request any more: a
read ends, a write that has begun is carried out. The answer comes all the same.

The header stands outside the body so that a body which cannot be decoded still gets its answer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER = struct.Struct("<IQ")
MAX_FRAME_BYTES = 256 << 20
"""The largest request: about 100,000 points of 512 dimensions."""


class FrameTooLarge(Exception):
    """The peer announced more than MAX_FRAME_BYTES: not one of ours, or out of step."""


def frame(request_number: int, body: bytes) -> bytes:
    return HEADER.pack(len(body), request_number) + body


class Frames:
    """Cuts a stream of bytes into frames, whatever the pieces in which it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The (number of the request, body) of each frame that `data` completes."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= HEADER.size:
            length, number = HEADER.unpack_from(buffer, start)
            if length > MAX_FRAME_BYTES:
                raise FrameTooLarge
            end = start + HEADER.size + length
            if len(buffer) < end:
                break
            yield number, bytes(memoryview(buffer)[start + HEADER.size : end])
            start = end
        del buffer[:start]
