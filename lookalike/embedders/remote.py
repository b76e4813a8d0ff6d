"""Vectors from an HTTP server of embeddings: somebody else's process, perhaps with a GPU.

Three kinds of bodies, after those who brought them up; images travel as JPEG in base64:

    openai   POST /v1/embeddings {"model", "input": ["data:image/jpeg;base64,…"], "modality"}
    jina     POST /v1/embeddings {"model", "input": [{"image": "…"}]}
    tei      POST /embed {"inputs": ["data:image/jpeg;base64,…"]}   (Text Embeddings Inference)

A text is its bare self, for `jina` {"text": "…"}. The first two answer {"data": [{"index",
"embedding"}]}, the last a list of vectors. `modality`, "image" or "text", is what the server
Infinity asks for, so that no text is taken for an image's address.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import numpy as np
import tenacity
from PIL import Image

from lookalike.embedders.embedder_errors import (
    EmbedderBroken,
    EmbedderNotSetUp,
    EmbedderUnreachable,
)
from lookalike.embedders.embedder_settings import RemoteApi, RemoteSettings
from lookalike.embedders.images.decoding import DECODINGS
from lookalike.embedders.protocol import Distance, Vectors, fingerprint

NAME = "remote"
SETTING = "LOOKALIKE_REMOTE_URL"

ATTEMPTS = 3
BACKOFF = tenacity.wait_exponential(multiplier=0.2, max=2.0) + tenacity.wait_random(0, 0.1)
# Busy, or restarting behind a proxy. Any other answer would be the same the next time.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
CONNECT_S = 5.0

# Change it with anything that moves a vector and is not in the other parts of the revision.
_SENDING = "jpeg-95-1"


class _Item(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Item]


class _Body(NamedTuple):
    """How one kind of server is asked and answers."""

    path: str
    of_images: Callable[[str, list[str]], dict[str, Any]]
    of_texts: Callable[[str, list[str]], dict[str, Any]]
    vectors: Callable[[bytes], list[list[float]]]


class Remote:
    """Vectors as the server answers them; cosine distance."""

    name = NAME
    distance: Distance = "cosine"
    # One request at a time, so that a batch must carry enough for the server's own batching.
    batch_size = 16

    def __init__(self, http: httpx.Client, settings: RemoteSettings) -> None:
        """Embeds one grey image to learn the dimension. Raises as `embed_images` does."""
        self._http, self._body = http, _BODIES[settings.api]
        self._model = settings.model
        self.image_px = side = settings.image_px
        self.dimension = settings.dimension
        found = self.embed_images([Image.new("RGB", (side, side), "grey")]).shape[1]
        if settings.dimension not in (0, found):
            raise EmbedderBroken(
                f"{SETTING}: the server answers {found} numbers a picture, not "
                f"{settings.dimension} as LOOKALIKE_REMOTE_DIMENSION says"
            )
        self.dimension = found
        parts = (settings.api, settings.model, side, found)
        self.revision, *self.former_revisions = (
            fingerprint(NAME, *parts, decoding, _SENDING) for decoding in DECODINGS
        )

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """RGB images of any size -> float32 of shape (n, dimension).

        Raises `EmbedderUnreachable` where trying again later may help, else `EmbedderBroken`.
        """
        sent = [_jpeg(image, 2 * self.image_px) for image in images]
        return self._ask(self._body.of_images(self._model, sent), len(sent))

    def close(self) -> None:
        """Closes the connections to the server."""
        self._http.close()

    def _ask(self, body: dict[str, Any], count: int) -> Vectors:
        if count == 0:
            return np.empty((0, self.dimension), np.float32)
        content = self._post(msgspec.json.encode(body))
        try:
            vectors = np.array(self._body.vectors(content), np.float32)
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            raise EmbedderBroken(f"{SETTING}: the server answers no embeddings: {error}") from error
        if vectors.ndim != 2 or len(vectors) != count:
            raise EmbedderBroken(
                f"{SETTING}: the server answers shape {vectors.shape} for {count} inputs"
            )
        return vectors

    def _post(self, content: bytes) -> bytes:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(EmbedderUnreachable),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=BACKOFF,
            reraise=True,
        )
        answer: bytes = attempts(self._post_once, content)
        return answer

    def _post_once(self, content: bytes) -> bytes:
        try:
            response = self._http.post(
                self._body.path, content=content, headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError as error:
            raise EmbedderUnreachable(
                f"{SETTING}: the server does not answer ({type(error).__name__})"
            ) from error
        if response.status_code in PASSING:
            raise EmbedderUnreachable(f"{SETTING}: the server answers {response.status_code}")
        if response.status_code != 200:
            # The beginning only: the whole could be a page of HTML.
            text = " ".join(response.text.split())[:200]
            raise EmbedderBroken(f"{SETTING}: the server answers {response.status_code}: {text}")
        return response.content


class RemoteWithText(Remote):
    """A server that puts words into the same space."""

    def __init__(self, http: httpx.Client, settings: RemoteSettings) -> None:
        super().__init__(http, settings)
        found = self.embed_texts(["a word"]).shape[1]
        if found != self.dimension:
            raise EmbedderBroken(
                f"{SETTING}: the server answers {found} numbers for a text and {self.dimension} "
                "for a picture; without LOOKALIKE_REMOTE_TEXT pictures alone are embedded"
            )

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Any strings -> float32 of shape (n, dimension). Raises as `embed_images` does."""
        sent = [text.encode(errors="replace").decode() for text in texts]
        return self._ask(self._body.of_texts(self._model, sent), len(sent))


def load(cache_folder: Path, **options: Any) -> Remote:
    """Asks the server for a vector at once, so that a wrong address shows at the start.

    `options` are the fields of `RemoteSettings`; `cache_folder` is not used. Raises
    `EmbedderBroken` and `EmbedderUnreachable`.
    """
    settings = RemoteSettings(**options)
    if not settings.url:
        raise EmbedderNotSetUp(
            f"the embedder {NAME} needs {SETTING}: the address of an embedding server such as "
            "http://127.0.0.1:7997"
        )
    http = httpx.Client(
        base_url=settings.url,
        headers={"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {},
        timeout=httpx.Timeout(settings.timeout_s, connect=min(CONNECT_S, settings.timeout_s)),
        trust_env=False,
    )
    kind = RemoteWithText if settings.text else Remote
    try:
        return kind(http, settings)
    except BaseException:
        http.close()
        raise


def _jpeg(image: Image.Image, most_px: int) -> str:
    """Base64 of a JPEG whose shorter side is `most_px` at most."""
    scale = most_px / min(image.size)
    if scale < 1:
        width, height = (max(1, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling=0)
    return base64.b64encode(file.getvalue()).decode()


def _uris(images: list[str]) -> list[str]:
    return [f"data:image/jpeg;base64,{image}" for image in images]


def _of_data(content: bytes) -> list[list[float]]:
    items = msgspec.json.decode(content, type=_Answer).data
    return [item.embedding for item in sorted(items, key=lambda item: item.index)]


def _of_list(content: bytes) -> list[list[float]]:
    return msgspec.json.decode(content, type=list[list[float]])


_BODIES: dict[RemoteApi, _Body] = {
    "openai": _Body(
        "/v1/embeddings",
        lambda model, images: {"model": model, "input": _uris(images), "modality": "image"},
        lambda model, texts: {"model": model, "input": texts, "modality": "text"},
        _of_data,
    ),
    "jina": _Body(
        "/v1/embeddings",
        lambda model, images: {"model": model, "input": [{"image": image} for image in images]},
        lambda model, texts: {"model": model, "input": [{"text": text} for text in texts]},
        _of_data,
    ),
    "tei": _Body(
        "/embed",
        lambda model, images: {"inputs": _uris(images)},
        lambda model, texts: {"inputs": texts},
        _of_list,
    ),
}
