"""`lookalike collections`: the same as the HTTP endpoints, whether the service runs or not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from lookalike.adapter.collections.collection_settings import SECRET, CollectionSettings
from lookalike.cli.options import data_option, settings_with
from lookalike.cli.setting_options import setting_options, settings_given

if TYPE_CHECKING:
    from lookalike.api.components import Components


@click.group("collections")
def collections_group() -> None:
    """List, create, show and delete collections."""


@collections_group.command("list")
@data_option
def list_collections(data: str | None) -> None:
    """Every collection: id, type, number of records, name."""
    from lookalike.cli.offline import run_with_components

    async def action(components: Components) -> list[Any]:
        service = components.collections
        return [await service.make_view(collection) for collection in await service.list_all()]

    for entry in run_with_components(settings_with(data=data), action):
        click.echo(f"{entry.id}  {entry.type:<9}  {entry.records_count:>9}  {entry.name}")


@collections_group.command("create")
@click.argument("name")
@setting_options(CollectionSettings, without=("name", *SECRET))
@data_option
def create_command(data: str | None, **values: Any) -> None:
    """Make a collection and show it."""
    from lookalike.api.bodies import convert_body
    from lookalike.cli.offline import run_with_components

    async def action(components: Components) -> Any:
        wanted = convert_body(settings_given(CollectionSettings, values), CollectionSettings)
        return await components.collections.make_view(await components.collections.create(wanted))

    show_view(run_with_components(settings_with(data=data), action, makes_folder=True))


@collections_group.command("show")
@click.argument("collection_id")
@data_option
def show_command(collection_id: str, data: str | None) -> None:
    """The settings of one collection, by id or name, as JSON."""
    from lookalike.cli.offline import run_with_components

    async def action(components: Components) -> Any:
        return await components.collections.make_view(
            await components.collections.find(collection_id)
        )

    show_view(run_with_components(settings_with(data=data), action))


@collections_group.command("delete")
@click.argument("collection_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def delete_command(collection_id: str, yes: bool, data: str | None) -> None:
    """Delete a collection, by id, with all its records."""
    from lookalike.cli.offline import run_with_components

    if not yes:
        click.confirm(f"Delete collection {collection_id} with all its records?", abort=True)

    async def action(components: Components) -> None:
        collection = await components.collections.find(collection_id)
        await components.collections.delete(collection, collection_id)

    run_with_components(settings_with(data=data), action)


def show_view(view: Any) -> None:
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(view), indent=2)
    sys.stdout.write(text.decode() + "\n")
