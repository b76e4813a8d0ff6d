"""What can go wrong between an image and its vector, as one tree.

    EmbedderError
    ├── UnknownEmbedder      no installed plug-in has this name; the text lists those that exist
    ├── EmbedderBroken       a plug-in cannot be loaded, raises, or answers what is no vector
    │   └── EmbedderNotSetUp   it needs settings that this installation does not have
    ├── NoTextTower          a text was given to an embedder that knows images only
    ├── EmbedderUnreachable  the server that embeds does not answer; a retry helps
    ├── Overloaded           too many images wait already; a retry helps
    └── EmbedderClosed       the service is shutting down; a retry elsewhere helps

Images that cannot be had have a tree of their own: `lookalike.embedders.images.image_errors`.
"""

from __future__ import annotations

from typing import ClassVar


class EmbedderError(Exception):
    """No vector. `text` is fit for the caller's eyes; `retry` says whether trying again helps."""

    retry: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class UnknownEmbedder(EmbedderError):
    """A name that no entry point of the group `lookalike.embedders` has."""


class EmbedderBroken(EmbedderError):
    """The fault is the plug-in's, not the request's. The cause, where there is one, is chained."""


class EmbedderNotSetUp(EmbedderBroken):
    """The text names the setting that is missing."""


class NoTextTower(EmbedderError):
    """Words were given to an embedder without a text tower."""


class EmbedderUnreachable(EmbedderError):
    """The vectors are another server's, and it does not answer or is too busy."""

    retry = True


class Overloaded(EmbedderError):
    """The queue in front of the embedder is full."""

    retry = True


class EmbedderClosed(EmbedderError):
    """The embedder has been closed, or was while the request waited."""

    retry = True
