"""Frames between an API process and the worker of the embedded engine.

A frame is a header, little endian `u32 length of the body, u64 number of the request`, and a body
in msgpack. Requests carry `[method, arguments]`, answers `[error kind or "", result or text]`; they
may come back in any order. The arguments are the plain REST form of the client's models: dicts of
the fields that are set. Dense vectors travel as float32 bytes: 4 bytes a number instead of 9, and
the worker checks them without making Python objects of them.

The header stands outside the body so that a body which cannot be decoded still gets its answer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec

HEADER = struct.Struct("<IQ")
MAX_FRAME_BYTES = 256 << 20
"""The largest request: about 100,000 points of 512 dimensions."""

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


class FrameTooLarge(Exception):
    """The peer announced more than MAX_FRAME_BYTES: not one of ours, or out of step."""


def frame(number: int, body: bytes) -> bytes:
    return HEADER.pack(len(body), number) + body


class Frames:
    """Cuts a stream of bytes into frames, whatever the pieces in which it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The (number, body) of each frame that `data` completes."""
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


def error_answer(kind: str, text: str) -> bytes:
    return encode([kind, text])


def answer(result: Any) -> bytes:
    return encode(["", result])
