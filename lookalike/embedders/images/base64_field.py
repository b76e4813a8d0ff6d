"""Images that travel in a record's text: the field `_base64`, and data URLs in `_url`."""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

from lookalike.embedders.images.image_errors import ImageTooLarge, ImageUnreadable

_DATA = re.compile(r"\s*data:", re.IGNORECASE)
# `data:[<type>][;<parameter>]*[;base64],` of RFC 2397. The bound keeps the search short.
_HEADER = re.compile(r"\s*data:([^,]{0,200}),", re.IGNORECASE)
_BASE64 = re.compile(r"(?:.*;)?\s*base64\s*", re.IGNORECASE | re.DOTALL)
_PIECE = 1 << 16
_WHITESPACE = str.maketrans("", "", " \t\r\n\f\v")
_URL_SAFE = str.maketrans("-_", "+/")


def is_data_url(url: str) -> bool:
    """Whether the image is in the URL itself."""
    return _DATA.match(url) is not None


def decode_base64(text: str, max_bytes: int) -> bytes:
    """The bytes of `_base64`, with or without the header of a data URL.

    Padding may be missing, and the alphabet may be that of URLs (RFC 4648). Otherwise strict but
    for white space: `binascii` would drop foreign characters without a word. Raises `ImageTooLarge`
    before decoding anything large, `ImageUnreadable` for bad base64.
    """
    header = _HEADER.match(text)
    if header and _BASE64.fullmatch(header[1]):
        return _decode(_unescaped(text[header.end() :]), max_bytes, "_base64")
    return _decode(text, max_bytes, "_base64")


def decode_data_url(url: str, max_bytes: int) -> bytes:
    """The bytes of a data URL (RFC 2397), in base64 or percent-encoded. Raises as `decode_base64`.

    As in browsers, what is percent-encoded is decoded first, base64 included.
    """
    header = _HEADER.match(url)
    if header is None:
        raise ImageUnreadable("`_url` is a data URL without a comma before its data")
    body = url[header.end() :]
    if _BASE64.fullmatch(header[1]):
        return _decode(_unescaped(body), max_bytes, "_url")
    return _checked(_percent_decoded(body.encode(errors="replace")), max_bytes, "_url")


def _unescaped(text: str) -> str:
    if "%" not in text or not text.isascii():
        return text
    return _percent_decoded(text.encode()).decode("latin-1")


def _percent_decoded(data: bytes) -> bytes:
    """Piece by piece: `unquote_to_bytes` makes an object of each escape, 20 times the memory."""
    decoded, begin = bytearray(), 0
    while begin < len(data):
        escape = data.find(b"%", begin + _PIECE)  # Cut before an escape: none is cut in two.
        end = len(data) if escape < 0 else escape
        decoded += unquote_to_bytes(data[begin:end])
        begin = end
    return bytes(decoded)


def _decode(text: str, max_bytes: int, field: str) -> bytes:
    # The four thirds of base64, and room for a line end after every 64 characters.
    if len(text) > max_bytes * 1.4 + 64:
        raise ImageTooLarge(f"`{field}` has more than {max_bytes} bytes")
    try:
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            data = binascii.a2b_base64(_repaired(text), strict_mode=True)
    except ValueError as error:  # of which binascii.Error is one; the other is non-ASCII text
        if text.lstrip()[:2] in ("b'", 'b"'):
            raise ImageUnreadable(
                f"`{field}` is not valid base64 but Python's notation of bytes, b'…': decode the "
                "bytes, as in base64.b64encode(data).decode()"
            ) from error
        raise ImageUnreadable(f"`{field}` is not valid base64") from error
    return _checked(data, max_bytes, field)


def _repaired(text: str) -> str:
    """Padded, in the usual alphabet and without white space; what is wrong otherwise stays wrong.

    "_-8" becomes "/+8=". A text in both alphabets is in neither.
    """
    text = text.translate(_WHITESPACE)
    if "+" not in text and "/" not in text:
        text = text.translate(_URL_SAFE)
    digits = text.rstrip("=")
    missing = -len(digits) % 4
    return text if len(text) - len(digits) > missing else digits + "=" * missing


def _checked(data: bytes, max_bytes: int, field: str) -> bytes:
    if len(data) > max_bytes:
        raise ImageTooLarge(f"`{field}` has more than {max_bytes} bytes")
    if not data:
        raise ImageUnreadable(f"`{field}` is empty")
    return data
