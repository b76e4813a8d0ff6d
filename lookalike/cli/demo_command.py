"""`lookalike demo`: a collection of real product photos, for a newcomer's first search."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import settings_with

if TYPE_CHECKING:
    from lookalike.adapter.collections.store import Collection
    from lookalike.api.services import Services
    from lookalike.demo_photos import DemoPhoto

NAME = "demo"
BATCH = 5


@click.command()
@click.argument("wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--data", help="Data folder.  [LOOKALIKE_DATA, default ./data]")
def demo(wheel: Path, data: str | None) -> None:
    """Fill an empty data folder with the product photos in WHEEL (saleor 2.10.1, CC-BY-4.0).

    Nothing is made where another collection exists.
    """
    from lookalike.adapter.records.listing import count
    from lookalike.adapter.records.selection import EVERYTHING
    from lookalike.cli.offline import run_with_services
    from lookalike.demo_photos import read_products

    settings = settings_with(data=data)

    async def action(services: Services) -> None:
        existing = services.cache.all()
        collection = next((c for c in existing if c.name == NAME), None)
        if existing and collection is None:
            click.echo("The data folder has collections: no demo collection is made.")
            return
        if collection is None:
            collection = await _create(services)
        photos = read_products(wheel)
        if await count(services.engine, collection, EVERYTHING) < len(photos):
            await _load(photos, collection, services)
        click.echo(example(settings.host, settings.port, collection.id))

    run_with_services(settings, action)


async def _create(services: Services) -> Collection:
    from lookalike.api.routes.collection_methods import create
    from lookalike.api.schemas import NewCollection

    body = NewCollection(
        name=NAME,
        type="products",
        fields_to_index=["category", "price"],
        product_id_field="product_id",
    )
    return await create(body, services)


async def _load(photos: list[DemoPhoto], collection: Collection, services: Services) -> None:
    from rich.progress import track

    from lookalike.adapter.errors import DuplicateRecord

    async def embed(sources: object) -> object:
        return await services.embed(collection, sources)  # type: ignore[arg-type]

    batches = [photos[begin : begin + BATCH] for begin in range(0, len(photos), BATCH)]
    for batch in track(batches, description=f"Embedding {len(photos)} product photos"):
        records = [
            photo.record() | {"_base64": base64.b64encode(photo.image).decode()} for photo in batch
        ]
        outcome = await services.writer.insert(collection, records, embed, None)  # type: ignore[arg-type]
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
