"""The contract of an embedder as a kit that the author of a plug-in runs.

    from lookalike.embedders.testing import check_embedder

    def test_contract(tmp_path):
        check_embedder(load, "my-embedder", tmp_path)

It needs no test framework; `lookalike embedders check NAME` runs the same rules on what is
installed. The images are drawn here, so that a rule means the same for everybody.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from lookalike.embedders.batching import check_vectors
from lookalike.embedders.embedder_errors import EmbedderError
from lookalike.embedders.protocol import Embedder, TextEmbedder, Vectors
from lookalike.embedders.registry import check_protocol

Load = Callable[[Path], Any]
"""`load(cache_folder)`, the target of the entry point."""

# Batches may change the order of a network's sums; of half precision three digits remain.
TOLERANCE = 0.01


class ContractBroken(AssertionError):
    """All rules that an embedder breaks, one a line."""


class Finding(NamedTuple):
    """Whether an embedder keeps one rule of its contract."""

    rule: str
    fault: str
    """Empty if the rule is kept."""


class _Fault(Exception):
    pass


def check_embedder(load: Load, name: str, cache_folder: Path) -> None:
    """Raises `ContractBroken` for a plug-in whose entry point is `name` = `load`."""
    broken = [finding for finding in findings(load, name, cache_folder) if finding.fault]
    if broken:
        lines = (f"{finding.rule}: {finding.fault}" for finding in broken)
        raise ContractBroken(f"the embedder {name} breaks its contract\n" + "\n".join(lines))


def findings(load: Load, name: str, cache_folder: Path) -> Iterator[Finding]:
    """One for each rule, as it is checked; none after a rule on which the others depend."""
    try:
        embedder = load(cache_folder)
        check_protocol(embedder, name)
    except Exception as error:
        yield Finding("It loads and has every attribute of the protocol", _words(error))
        return
    yield Finding("It loads and has every attribute of the protocol", "")
    rules = [*_IMAGE_RULES, *(_TEXT_RULES if isinstance(embedder, TextEmbedder) else ())]
    for rule in rules:
        yield Finding(_sentence(rule), _fault_of(partial(rule, embedder)))
    yield Finding(
        "Loaded again, it has the same revision and the same vectors",
        _fault_of(lambda: _loads_the_same(load, embedder, cache_folder)),
    )


def drawing(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """An RGB image of a few large shapes; another for each seed, the same in every size."""
    numbers = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), _colour(numbers))
    draw = ImageDraw.Draw(image)
    for shape in (draw.ellipse, draw.rectangle, draw.ellipse):
        left, top, wide, high = numbers.uniform((0, 0, 0.2, 0.2), (0.6, 0.6, 0.4, 0.4))
        box = (
            left * width,
            top * height,
            (left + wide) * width,
            (top + high) * height,
        )
        shape(box, fill=_colour(numbers))
    return image


def shape_and_dtype(embedder: Embedder) -> None:
    """Pictures give float32 of shape (n, dimension), none give (0, dimension)."""
    for count in (0, 1, 3):
        _check(embedder.embed_images([drawing(n) for n in range(count)]), count, embedder)


def any_image(embedder: Embedder) -> None:
    """Pictures of any size and of one colour give finite numbers, not all zero for cosine."""
    sizes = [(1, 1), (1, 900), (900, 1), (7, 5), (2000, 1500)]
    images = [drawing(n, *size) for n, size in enumerate(sizes)]
    images += [Image.new("RGB", (64, 64), colour) for colour in ("black", "white", "red")]
    for image in images:
        _check(embedder.embed_images([image]), 1, embedder)


def order_and_batches(embedder: Embedder) -> None:
    """A picture has the same vector alone and among others, wherever it stands."""
    images = [drawing(n) for n in range(5)]
    together = embedder.embed_images(images)
    alone = np.concatenate([embedder.embed_images([image]) for image in images])
    _same(together, alone, "a picture among others and alone")
    _same(together[::-1], embedder.embed_images(images[::-1]), "pictures in another order")


def images_untouched(embedder: Embedder) -> None:
    """The pictures are left as they were: others may read them too."""
    image = drawing(1)
    before = image.tobytes(), image.size, image.mode
    embedder.embed_images([image])
    if before != (image.tobytes(), image.size, image.mode):
        raise _Fault("the picture was changed")


def nearest_is_itself(embedder: Embedder) -> None:
    """A smaller copy of a picture is nearer to it than any other picture is."""
    vectors = embedder.embed_images([drawing(n, 512, 384) for n in range(8)])
    copies = embedder.embed_images(
        [drawing(n, 512, 384).resize((256, 192), Image.Resampling.BOX) for n in range(8)]
    )
    for number, copy in enumerate(copies):
        nearest = int(_distances(copy, vectors, embedder.distance).argmin())
        if nearest != number:
            raise _Fault(f"a copy of drawing({number}) is nearest to drawing({nearest})")


def another_thread(embedder: Embedder) -> None:
    """It works in a thread that is not the one that loaded it."""
    expected = embedder.embed_images([drawing(1)])
    answers: list[Any] = []

    def work() -> None:
        try:
            answers.append(embedder.embed_images([drawing(1)]))
        except Exception as error:
            answers.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(answers[0], Exception):
        raise _Fault(_words(answers[0]))
    _same(expected, answers[0], "the same picture in another thread")


def any_text(embedder: TextEmbedder) -> None:
    """Any texts give float32 of shape (n, dimension), the same alone and among others."""
    texts = ["a red bag", "", "日本の椅子", "word " * 500, "half a pair \ud800", "\0\n\t"]
    _check(embedder.embed_texts([]), 0, embedder)
    together = embedder.embed_texts(texts)
    _check(together, len(texts), embedder)
    alone = np.concatenate([embedder.embed_texts([text]) for text in texts])
    _same(together, alone, "a text among others and alone")


def text_is_only_text(embedder: TextEmbedder) -> None:
    """A text is never opened as a file nor fetched as a URL: it comes from strangers."""
    asked: list[str] = []
    with tempfile.TemporaryDirectory() as folder, _Listening(asked) as url:
        path = Path(folder) / "picture.png"
        drawing(1).save(path)
        vectors = embedder.embed_texts([str(path), f"{url}/picture.png"])
        (image,) = embedder.embed_images([drawing(1)])
    if asked:
        raise _Fault("a text that is a URL was fetched")
    if any(np.allclose(vector, image, atol=1e-3) for vector in vectors):
        raise _Fault("a text that is a path has the vector of the picture there")


_IMAGE_RULES: tuple[Callable[[Any], None], ...] = (
    shape_and_dtype,
    any_image,
    order_and_batches,
    images_untouched,
    nearest_is_itself,
    another_thread,
)
_TEXT_RULES: tuple[Callable[[Any], None], ...] = (any_text, text_is_only_text)


def _loads_the_same(load: Load, embedder: Embedder, cache_folder: Path) -> None:
    again = load(cache_folder)
    if again.revision != embedder.revision:
        raise _Fault(f"revision {embedder.revision}, then {again.revision}")
    image = [drawing(1)]
    _same(embedder.embed_images(image), again.embed_images(image), "the same picture")


def _check(raw: Any, count: int, embedder: Embedder) -> None:
    if getattr(raw, "dtype", None) != np.float32:
        raise _Fault(f"the answer is {getattr(raw, 'dtype', type(raw).__name__)}, not float32")
    for row in check_vectors(raw, count, embedder):
        if isinstance(row, EmbedderError):
            raise row


def _same(one: Vectors, other: Vectors, what: str) -> None:
    scale = float(np.abs(one).max(initial=1e-6))
    difference = float(np.abs(np.asarray(one) - np.asarray(other)).max(initial=0))
    if not difference <= TOLERANCE * scale:
        raise _Fault(f"{what}: vectors that differ by {difference:.2g} of {scale:.2g}")


def _distances(vector: Any, others: Vectors, distance: str) -> Any:
    if distance == "manhattan":
        return np.abs(others - vector).sum(1)
    if distance == "euclid":
        return np.linalg.norm(others - vector, axis=1)
    if distance == "cosine":
        others = others / np.linalg.norm(others, axis=1, keepdims=True)
    return -(others @ vector)


def _fault_of(rule: Callable[[], None]) -> str:
    try:
        rule()
    except Exception as error:
        return _words(error)
    return ""


def _words(error: Exception) -> str:
    text = str(error)
    return text if isinstance(error, (_Fault, EmbedderError)) else f"{type(error).__name__}: {text}"


def _sentence(rule: Callable[[Any], None]) -> str:
    return (rule.__doc__ or rule.__name__).splitlines()[0].rstrip(".")


def _colour(numbers: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in numbers.integers(0, 256, 3))
    return red, green, blue


class _Listening:
    """A server on loopback that notes what it is asked for and has nothing."""

    def __init__(self, asked: list[str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


__all__: Sequence[str] = ("ContractBroken", "Finding", "check_embedder", "drawing", "findings")
