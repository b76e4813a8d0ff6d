"""The field `_base64`: the bytes of an image in base64, with or without a data header."""

from __future__ import annotations

import binascii
import re

from lookalike.embedders.images.image_errors import ImageTooLarge, ImageUnreadable

# `data:[<type>][;<parameter>]*;base64,` of RFC 2397. The bound keeps the search short.
_HEADER = re.compile(r"\s*data:[^,]{0,200};\s*base64\s*,", re.IGNORECASE)
_WHITESPACE = str.maketrans("", "", " \t\r\n\f\v")


def decode_base64(text: str, max_bytes: int) -> bytes:
    """Strict but for white space: `binascii` would drop foreign characters without a word.

    Raises `ImageTooLarge` before decoding anything large, `ImageUnreadable` for bad base64.
    """
    header = _HEADER.match(text)
    if header:
        text = text[header.end() :]
    try:
        # The four thirds of base64, and room for a line end after every 64 characters.
        if len(text) > max_bytes * 1.4 + 64:
            raise ImageTooLarge(f"`_base64` has more than {max_bytes} bytes")
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            data = binascii.a2b_base64(text.translate(_WHITESPACE), strict_mode=True)
    except ValueError as error:  # of which binascii.Error is one; the other is non-ASCII text
        raise ImageUnreadable("`_base64` is not valid base64") from error
    if len(data) > max_bytes:
        raise ImageTooLarge(f"`_base64` has more than {max_bytes} bytes")
    if not data:
        raise ImageUnreadable("`_base64` is empty")
    return data
