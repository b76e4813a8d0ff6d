"""The process that decodes one image after the other, within limits: see `isolation`.

python -m lookalike.embedders.images.decoding_process CPU_SECONDS MEMORY_BYTES
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

import msgspec

from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.image_errors import ImageError
from lookalike.embedders.images.isolation import (
    ERRORS,
    DecodingAnswer,
    DecodingRequest,
    read_frame,
    write_frame,
)


def answer_requests(cpu_s: float, memory_bytes: int) -> None:
    """Until the input ends."""
    limit_memory(memory_bytes)
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        request = msgspec.msgpack.decode(frame, type=DecodingRequest)
        # Counts the time of all threads of this process, and kills it: no handler is set.
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        answer = answer_request(request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        write_frame(sys.stdout.buffer, msgspec.msgpack.encode(answer))


def answer_request(request: DecodingRequest) -> DecodingAnswer:
    """The image, or why it is refused."""
    try:
        image = decode_image(
            request.data,
            max_pixels=request.max_pixels,
            image_px=request.image_px,
            crop=request.crop,
            max_bytes=request.max_bytes,
        )
    except ImageError as error:
        kind = next(kind for kind, of in reversed(ERRORS.items()) if isinstance(error, of))
        return DecodingAnswer(refusal=error.text, error=kind)
    return DecodingAnswer(image.size, image.tobytes())


def limit_memory(more_bytes: int) -> None:
    """So much more than the libraries have taken; only Linux keeps such a limit."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except OSError:
        return
    most = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    answer_requests(float(sys.argv[1]), int(sys.argv[2]))
