"""Why an image could not be had, as one tree.

    ImageError
    ├── ImageUnreadable   422  not base64, not an image of a known format, broken, cut short
    │   └── ImageTooLarge 422  more bytes or pixels than are allowed, or too much work
    │       └── ImageTooCostly 422  decoding it would take more memory than is allowed
    ├── UrlRefused        422  not a URL that we would ever fetch
    └── ImageNotFetched   504  the URL did not give an image in time; a retry may help
        ├── ImageGone     410  its server has no such image (404, 410)
        ├── ImageForbidden 403 its server does not let us have it (401, 403)
        └── ImageBusy     503  its server is busy (429, 503), and was when asked again

The texts go to the client. They hold limits and reasons, never a value, an address, or whether an
internal name exists: a record must not be a way to look around in the network of the service.
"""

from __future__ import annotations

from typing import ClassVar


class ImageError(Exception):
    """One image cannot be used. `code` belongs into the record's `_reason.status.code`."""

    code: ClassVar[int] = 422
    retry: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ImageUnreadable(ImageError):
    """The bytes are not an image that we can read."""


class ImageTooLarge(ImageUnreadable):
    """The image passes a limit of `ImageSettings`."""


class ImageTooCostly(ImageTooLarge):
    """By its header, and by `decoding_memory_mb` or what is allowed beside others."""


class UrlRefused(ImageError):
    """The URL itself is wrong, whatever may be behind it."""


class ImageNotFetched(ImageError):
    """The URL may be right, but its server, the way to it or the time did not allow."""

    code = 504
    retry = True


class ImageGone(ImageNotFetched):
    """The server says that there is no such image."""

    code = 410
    retry = False


class ImageForbidden(ImageNotFetched):
    """The server wants another to ask, or nobody."""

    code = 403
    retry = False


class ImageBusy(ImageNotFetched):
    """The server asks to come back later. `retry_after_s`: when, 0 where it does not say."""

    code = 503

    def __init__(self, text: str, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
