"""Images that may cost anything are decoded in processes that the kernel bounds.

A HEIF, AVIF or JPEG 2000 says nothing reliable of its cost, and nothing ends a decoder that runs in
a thread. So such an image goes to `decoding_process`, which has a limit of memory and of CPU time
and is killed by the kernel where it passes one; the next image gets a new process. Starting one
takes 0.2 s, so it is kept: there are never more than images are decoded at once, and none before
the first such image.

A request and its answer are one frame each, over standard input and output: eight bytes of length,
then msgpack. The end of its input ends the process, so that none outlives the service.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO, Literal

import msgspec
from PIL import Image

from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.decoding import MAX_BYTES
from lookalike.embedders.images.image_errors import (
    ImageError,
    ImageTooCostly,
    ImageTooLarge,
    ImageUnreadable,
)

ErrorKind = Literal["unreadable", "large", "costly"]
ERRORS: dict[ErrorKind, type[ImageError]] = {
    "unreadable": ImageUnreadable,
    "large": ImageTooLarge,
    "costly": ImageTooCostly,
}


class DecodingRequest(msgspec.Struct, array_like=True):
    """What `decode_image` is given."""

    data: bytes
    max_pixels: int
    image_px: int
    crop: Box | None
    max_bytes: int


class DecodingAnswer(msgspec.Struct, array_like=True):
    """An RGB image, or with `refusal` the text of the error."""

    size: tuple[int, int] = (0, 0)
    pixels: bytes = b""
    refusal: str | None = None
    error: ErrorKind = "unreadable"


class IsolatedDecoder:
    """Decodes in processes of its own, as many as threads call it at once. `close` it at the end.

    `cpu_s` is the CPU time that one image may take, `memory_bytes` what it may take beside the
    libraries: 64 Mpx of JPEG 2000 take 1.2 GB, of HEIF and AVIF half as much, and with transparency
    half a gigabyte more.
    """

    PROCESS_MODULE = "lookalike.embedders.images.decoding_process"

    def __init__(self, cpu_s: float, memory_bytes: int = 2 * 1024**3) -> None:
        self._cpu_s, self._memory_bytes = cpu_s, memory_bytes
        self._idle: list[subprocess.Popen[bytes]] = []

    def decode(
        self,
        data: bytes,
        *,
        max_pixels: int,
        image_px: int,
        crop: Box | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Image.Image:
        """As `decoding.decode_image`; also raises RuntimeError where no process can be had."""
        process = self._take()
        assert process.stdin is not None
        assert process.stdout is not None
        request = DecodingRequest(data, max_pixels, image_px, crop, max_bytes)
        try:
            write_frame(process.stdin, msgspec.msgpack.encode(request))
            frame = read_frame(process.stdout)
        except OSError:
            frame = None
        if frame is None:
            _end(process)
            raise self._failure(process.returncode)
        self._idle.append(process)
        answer = msgspec.msgpack.decode(frame, type=DecodingAnswer)
        if answer.refusal is not None:
            raise ERRORS[answer.error](answer.refusal)
        return Image.frombytes("RGB", answer.size, answer.pixels)

    def close(self) -> None:
        """Ends the processes. No image may be on its way."""
        while self._idle:
            _end(self._idle.pop())

    def _take(self) -> subprocess.Popen[bytes]:
        while self._idle:
            process = self._idle.pop()
            if process.poll() is None:
                return process
            _end(process)
        return subprocess.Popen(
            [
                *(sys.executable, "-m", self.PROCESS_MODULE),
                *(str(self._cpu_s), str(self._memory_bytes)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What decoders print about a stranger's file belongs into no log.
            stderr=subprocess.DEVNULL,
            # Ctrl-C in a terminal reaches the service, which ends this process in order.
            start_new_session=True,
            # A decoder that is taken over by a picture finds no token and no key.
            env={k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")},
        )

    def _failure(self, code: int) -> Exception:
        if code == -signal.SIGPROF:
            return ImageTooLarge(f"the image was not decoded within {self._cpu_s:g} s of CPU time")
        if code < 0:
            return ImageUnreadable("the image is damaged or incomplete")
        return RuntimeError(f"the process that decodes images ended with {code}")


def read_frame(stream: IO[bytes]) -> bytes | None:
    """None at the end of the stream, also amid a frame."""
    head = stream.read(8)
    frame = stream.read(int.from_bytes(head)) if len(head) == 8 else b""
    return frame if frame and len(frame) == int.from_bytes(head) else None


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    """Whole, and at once."""
    stream.write(len(frame).to_bytes(8))
    stream.write(frame)
    stream.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Closes its input, which ends it, and waits for that."""
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with contextlib.suppress(OSError):  # what is left to write to a process that died
            stream.close()
    process.wait()
