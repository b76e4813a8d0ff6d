"""`lookalike embedders`: what turns images into vectors here, how well and how fast."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import data_option, settings_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from lookalike.api.settings import Settings

MAX_IMAGES = 64
COMPARED_PX = 336


@click.group("embedders")
def embedders_group() -> None:
    """List, check and measure embedders."""


@embedders_group.command("list")
@data_option
def list_embedders(data: str | None) -> None:
    """Every installed embedder: name, dimension, distance, revision; or why it cannot be loaded."""
    from lookalike.embedders.protocol import TextEmbedder
    from lookalike.embedders.registry import installed

    settings = settings_with(data=data)
    with cache_folder(settings) as folder:
        for point in installed():
            try:
                embedder = loader(point, settings)(folder)
            except Exception as error:
                click.echo(f"{point.name:<12}  not available: {error}")
                continue
            knows = "pictures, texts" if isinstance(embedder, TextEmbedder) else "pictures"
            click.echo(
                f"{point.name:<12}  {embedder.dimension:>5}  {embedder.distance:<9}  "
                f"{embedder.revision:<16}  {knows}"
            )


@embedders_group.command("check")
@click.argument("name")
@data_option
def check_command(name: str, data: str | None) -> None:
    """Hold an embedder to the contract, rule by rule."""
    from lookalike.embedders.testing import findings

    settings = settings_with(data=data)
    broken = 0
    load = loader(point_named(name), settings)
    with cache_folder(settings) as folder:
        for rule, fault in findings(load, name, folder):
            text = f"{'FAILED' if fault else 'ok':<6}  {rule}"
            click.echo(f"{text}: {fault}" if fault else text)
            broken += bool(fault)
    if broken:
        raise click.ClickException(f"{name} breaks {broken} of the rules")


@embedders_group.command("bench")
@click.argument("name")
@click.option("--pictures", "count", type=click.IntRange(min=1), default=64, show_default=True)
@data_option
def bench_command(name: str, count: int, data: str | None) -> None:
    """Measure images a second: drawn photos of 1,000 x 750, JPEG, decoded and embedded."""
    from time import perf_counter

    from lookalike.embedders.images.decoding import decode_image

    settings = settings_with(data=data)
    load = loader(point_named(name), settings)
    try:
        started = perf_counter()
        with cache_folder(settings) as folder:
            embedder = load(folder)
    except Exception as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"loaded in {perf_counter() - started:.2f} s")
    files = [jpeg(seed) for seed in range(count)]
    started = perf_counter()
    images = [decode_image(f, max_pixels=2**20, image_px=embedder.image_px) for f in files]
    click.echo(f"decoding: {count / (perf_counter() - started):.1f} pictures a second")
    embedder.embed_images(images[:1])
    for batch in sorted({1, int(getattr(embedder, "batch_size", 1))}):
        started = perf_counter()
        for begin in range(0, count, batch):
            embedder.embed_images(images[begin : begin + batch])
        each_ms = (perf_counter() - started) / count * 1000
        click.echo(
            f"embedding, {batch} at once: {1000 / each_ms:.1f} pictures a second, "
            f"{each_ms:.1f} ms each"
        )


@embedders_group.command("export")
@click.option("--int8", is_flag=True, help="8-bit weights: three times as fast on CPUs with VNNI.")
@click.option(
    "--photos",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of photos to compare on; default: drawn ones.",
)
@data_option
def export_clip(int8: bool, folder: Path | None, data: str | None) -> None:
    """Turn the image tower of LOOKALIKE_CLIP_MODEL into ONNX, for images without PyTorch.

    The service takes the file by itself. Its vectors have a revision of their own, so collections
    made before need LOOKALIKE_CLIP_PRECISION as it was.
    """
    from lookalike.embedders.embedder_errors import EmbedderError

    settings = settings_with(data=data)
    if not settings.clip.model:
        raise click.ClickException("LOOKALIKE_CLIP_MODEL names the model to export; it is not set")
    images = _read_images(folder)
    try:
        from lookalike.embedders.onnx_export import export_tower

        report = export_tower(
            settings.data.models_folder,
            images,
            model=settings.clip.model,
            precision="int8" if int8 else "float32",
            download=settings.clip.download,
        )
    except EmbedderError as error:
        raise click.ClickException(error.text) from None
    click.echo(f"written: {report.file}")
    click.echo(
        f"agreement on {len(images)} photos: mean cosine {report.agreement:.5f}, "
        f"least {report.least:.5f}"
    )
    click.echo(
        f"{report.exported_ms:.1f} ms a picture, with PyTorch in float32 {report.torch_ms:.1f} ms: "
        f"{report.torch_ms / report.exported_ms:.1f} times as fast"
    )


def _read_images(folder: Path | None) -> list[Image.Image]:
    """At most MAX_IMAGES that can be read, as an embedder would get them."""
    from lookalike.embedders.images.decoding import decode_image
    from lookalike.embedders.images.image_errors import ImageError

    files = sorted(p for p in folder.rglob("*") if p.is_file()) if folder else []
    data = (path.read_bytes() for path in files) if folder else map(jpeg, range(MAX_IMAGES // 2))
    images: list[Image.Image] = []
    for one in data:
        try:
            images.append(decode_image(one, max_pixels=2**26, image_px=COMPARED_PX))
        except ImageError:
            continue
        if len(images) == MAX_IMAGES:
            break
    if not images:
        raise click.ClickException(f"there is no photo in {folder}")
    return images


def point_named(name: str) -> Any:
    from lookalike.embedders.registry import installed

    points = {point.name: point for point in installed()}
    if name not in points:
        raise click.ClickException(f"no embedder has this name; installed are: {', '.join(points)}")
    return points[name]


@contextlib.contextmanager
def cache_folder(settings: Settings) -> Iterator[Path]:
    """Where embedders find what they have prepared. Where there is no data folder it is a folder
    for the time of the command, which only looks."""
    if Path(settings.data.folder).exists():
        yield settings.data.models_folder
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def loader(point: Any, settings: Settings) -> Callable[[Path], Any]:
    """The `load` of an entry point, with the options of the settings."""

    def load(cache_folder: Path) -> Any:
        return point.load()(cache_folder, **settings.embedder_options.get(point.name, {}))

    return load


def jpeg(seed: int) -> bytes:
    from io import BytesIO

    from lookalike.embedders.testing import drawing

    file = BytesIO()
    drawing(seed, 1000, 750).save(file, "JPEG", quality=90)
    return file.getvalue()
