"""`lookalike demo`: a collection of real product photos, for a newcomer's first search."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.adapter.collections.collection_settings import CollectionSettings
from lookalike.cli.options import data_option, settings_with

if TYPE_CHECKING:
    from lookalike.adapter.collections.collection_settings import Collection
    from lookalike.api.components import Components
    from lookalike.cli.demo_images import DemoImage

NAME = "demo"
BATCH = 5


@click.command("demo")
@click.argument("wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def demo_command(wheel: Path, data: str | None) -> None:
    """Fill an empty data folder with the product photos in WHEEL (saleor 2.10.1, CC-BY-4.0).

    Nothing is made where another collection exists.
    """
    from lookalike.cli.demo_images import read_demo_images
    from lookalike.cli.offline import run_with_components

    settings = settings_with(data=data)

    async def action(components: Components) -> None:
        existing = await components.collections.list_all()
        collection = next((c for c in existing if c.name == NAME), None)
        if existing and collection is None:
            click.echo("The data folder has collections: no demo collection is made.")
            return
        if collection is None:
            collection = await _create(components)
        images = read_demo_images(wheel)
        if await components.records.count(collection) < len(images):
            # A batch never has more records than a request may.
            size = min(BATCH, settings.limits_in_force.max_records)
            await _load(images, collection, components, size)
        click.echo(example(settings.http.host, settings.http.port, collection.id))

    run_with_components(settings, action, makes_folder=True)


async def _create(components: Components) -> Collection:
    settings = CollectionSettings(
        name=NAME,
        type="products",
        fields_to_index=("category", "price"),
        product_id_field="product_id",
    )
    return await components.collections.create(settings)


async def _load(
    images: list[DemoImage], collection: Collection, components: Components, batch_size: int
) -> None:
    from rich.progress import track

    from lookalike.adapter.errors import DuplicateRecord

    batches = [images[begin : begin + batch_size] for begin in range(0, len(images), batch_size)]
    for batch in track(batches, description=f"Embedding {len(images)} product photos"):
        records = [
            image.record() | {"_base64": base64.b64encode(image.image).decode()} for image in batch
        ]
        outcome = await components.records.insert(collection, records)
        # Those of a demo that was interrupted are there already.
        for record, why in outcome.refused:
            if isinstance(why, DuplicateRecord):
                continue
            raise click.ClickException(f"{record['_id']}: {why.text}")


def example(host: str, port: int, collection_id: str) -> str:
    """A search that works as printed once the service is started."""
    return (
        f"Demo collection: {collection_id}\n"
        f"Once the service is started, what looks like product photo {EXAMPLE_ID}?\n"
        f"  curl -s http://{host}:{port}/similarity/products/v2/visualKNN"
        f" -H 'collection-id: {collection_id}'"
        f' -d \'{{"query_record": {{"_id": "{EXAMPLE_ID}"}}, "k": 5,'
        f' "fields_to_return": ["name", "category", "price"]}}\''
    )


EXAMPLE_ID = "1"
