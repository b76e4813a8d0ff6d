"""`lookalike collections`: the same as the HTTP endpoints, whether the service runs or not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import settings_with

if TYPE_CHECKING:
    from lookalike.api.services import Services

TYPES = ("photos", "products", "fashion", "homedecor", "custom", "colors", "matching")

data_option = click.option("--data", help="Data folder.  [LOOKALIKE_DATA, default ./data]")


@click.group()
def collections() -> None:
    """List, create, show and delete collections."""


@collections.command("list")
@data_option
def list_all(data: str | None) -> None:
    """Every collection: id, type, number of records, name."""
    from lookalike.api.routes.collection_methods import view
    from lookalike.cli.offline import run_with_services

    async def action(services: Services) -> list[Any]:
        return [await view(collection, services) for collection in services.cache.all()]

    for entry in run_with_services(settings_with(data=data), action):
        click.echo(f"{entry.id}  {entry.type:<9}  {entry.records_count:>9}  {entry.name}")


@collections.command()
@click.argument("name")
@click.option("--type", "type_", type=click.Choice(TYPES), default="photos", show_default=True)
@click.option("--index", "fields", multiple=True, help="Field to index; may be repeated.")
@click.option("--product-id-field", help="Field that holds the product id.")
@click.option("--embedder", help="Embedder; default: by type and settings.")
@click.option("--capacity", type=click.IntRange(min=0), help="Most records.")
@click.option(
    "--tag-weight",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Share of the tags in the distance of visualTagsKNN.",
)
@click.option("--tag-idf", is_flag=True, help="Rare tags count more; cannot be changed later.")
@click.option("--shards", type=click.IntRange(min=1), help="Parts, on a Qdrant server.")
@click.option("--replicas", type=click.IntRange(min=1), help="Copies, on a Qdrant cluster.")
@click.option(
    "--quantization",
    type=click.Choice(["none", "scalar", "binary", "turbo"]),
    default="turbo",
    show_default=True,
    help="What a Qdrant server scans.",
)
@click.option("--on-disk", is_flag=True, help="Vectors stay on the disk of a Qdrant server.")
@data_option
def create(
    name: str,
    type_: str,
    fields: tuple[str, ...],
    product_id_field: str | None,
    embedder: str | None,
    capacity: int | None,
    tag_weight: float,
    tag_idf: bool,
    shards: int | None,
    replicas: int | None,
    quantization: str,
    on_disk: bool,
    data: str | None,
) -> None:
    """Make a collection and show it."""
    from lookalike.api.bodies import convert
    from lookalike.api.routes.collection_methods import create as create_collection
    from lookalike.api.routes.collection_methods import view
    from lookalike.api.schemas import NewCollection
    from lookalike.cli.offline import run_with_services

    wanted = {
        "name": name,
        "type": type_,
        "fields_to_index": list(fields),
        "product_id_field": product_id_field,
        "embedder": embedder,
        "capacity": capacity,
        "tag_weight": tag_weight,
        "tag_idf": tag_idf,
        "storage": {
            "shard_number": shards,
            "replication_factor": replicas,
            "quantization": quantization,
            "on_disk": on_disk,
        },
    }

    async def action(services: Services) -> Any:
        body = convert(wanted, NewCollection)
        return await view(await create_collection(body, services), services)

    show_view(run_with_services(settings_with(data=data), action))


@collections.command()
@click.argument("collection_id")
@data_option
def show(collection_id: str, data: str | None) -> None:
    """The settings of one collection, by id or name, as JSON."""
    from lookalike.api.routes.collection_methods import view
    from lookalike.cli.offline import run_with_services

    async def action(services: Services) -> Any:
        return await view(await services.cache.find(collection_id), services)

    show_view(run_with_services(settings_with(data=data), action))


@collections.command()
@click.argument("collection_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def delete(collection_id: str, yes: bool, data: str | None) -> None:
    """Delete a collection, by id, with all its records."""
    from lookalike.api.routes.collection_methods import delete as delete_collection
    from lookalike.cli.offline import run_with_services

    if not yes:
        click.confirm(f"Delete collection {collection_id} with all its records?", abort=True)

    async def action(services: Services) -> None:
        collection = await services.cache.find(collection_id)
        await delete_collection(collection, collection_id, services)

    run_with_services(settings_with(data=data), action)


def show_view(view: Any) -> None:
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(view), indent=2)
    sys.stdout.write(text.decode() + "\n")
