"""`lookalike migrate`: other layouts and other embedders for collections that are in use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.api.cli.settings import settings_with

if TYPE_CHECKING:
    from lookalike.adapter.collection import Collection
    from lookalike.api.services import Services
    from lookalike.migrations.reembedding import Reembedding, Unreadable

data_option = click.option("--data", help="Data folder.  [LOOKALIKE_DATA, default ./data]")
embedder_option = click.option("--embedder", help="Embed all records anew with this embedder.")
records_option = click.option(
    "--records",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON lines with `_id` and `_base64` or `_url`, for records whose stored URL is no use.",
)


@click.group()
def migrate() -> None:
    """Migrate collections; the service may run meanwhile, and any command be repeated."""


@migrate.command()
@data_option
def status(data: str | None) -> None:
    """What each collection has, what is pending, and what is on its way."""
    run(data, show_status)


async def show_status(services: Services) -> None:
    from lookalike.migrations import layout, reembedding

    for collection in services.catalogue.all():
        click.echo(f"{collection.id}  {collection.name}")
        count = (await services.engine.count(collection.physical, exact=True)).count
        click.echo(f"  records    {count}")
        click.echo(f"  embedder   {collection.embedder} {collection.revision}")
        numbers = [str(each.number) for each in layout.pending(collection)] or ["none"]
        reached = await layout.checkpoint(services.engine, collection)
        underway = f" (at record {reached.records})" if reached.number else ""
        click.echo(
            f"  layout     {collection.schema_version}, pending: {', '.join(numbers)}{underway}"
        )
        await _show_successor(services, collection)
        for name in await reembedding.predecessors(services.engine, collection):
            click.echo(f"  in no use  {name}: `lookalike migrate drop {collection.id}`")


async def _show_successor(services: Services, collection: Collection) -> None:
    successor = collection.successor
    if successor is None:
        return
    made = 0
    if await services.engine.collection_exists(successor.physical):
        made = (await services.engine.count(successor.physical, exact=True)).count
    click.echo(f"  successor  {successor.embedder} {successor.revision}, {made} records so far")


@migrate.command()
@click.argument("collection_id")
@embedder_option
@records_option
@data_option
def plan(collection_id: str, embedder: str | None, records: Path | None, data: str | None) -> None:
    """What `up` would do. Changes nothing."""
    run(data, lambda services: show_plan(services, collection_id, embedder, records))


async def show_plan(
    services: Services, collection_id: str, embedder: str | None, records: Path | None
) -> None:
    from lookalike.migrations import layout
    from lookalike.migrations.archive import scroll
    from lookalike.migrations.sources import GivenRecords

    collection = await services.catalogue.find(collection_id)
    for each in layout.pending(collection):
        click.echo(f"Layout {each.number}: {each.text}")
    wanted = embedder or _begun(collection)
    if wanted is None:
        click.echo("No other embedder is asked for.")
        return
    target = await services.embedder_named(wanted, "--embedder")
    given, total, urls, again = GivenRecords(records), 0, 0, 0
    fields = ["_id", "_url"]
    pages = scroll(services.engine, collection.physical, payload=fields, vectors=False, page=1000)
    async for points, _ in pages:
        payloads = [point.payload or {} for point in points]
        total += len(payloads)
        again += sum(str(p.get("_id")) in given for p in payloads)
        urls += sum(bool(p.get("_url")) and str(p.get("_id")) not in given for p in payloads)
    click.echo(
        f"Embedder {collection.embedder} {collection.revision} -> {wanted} {target.revision}, "
        f"{collection.dimension} -> {target.dimension} dimensions\n"
        f"{total} records: {again} are given again, {urls} have a URL, "
        f"{total - again - urls} have no picture"
    )


@migrate.command()
@click.argument("collection_id")
@embedder_option
@records_option
@click.option("--skip-unreadable", is_flag=True, help="Switch although records have no vector.")
@click.option(
    "--unreadable",
    "list_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("unreadable.jsonl"),
    show_default=True,
    help="Where records without a vector are listed.",
)
@click.option(
    "--min-overlap",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Switch only if this part of the nearest ten stays the same.  [default: 0]",
)
@click.option("--dry-run", is_flag=True, help="As `plan`.")
@data_option
def up(
    collection_id: str,
    embedder: str | None,
    records: Path | None,
    skip_unreadable: bool,
    list_file: Path,
    min_overlap: float,
    dry_run: bool,
    data: str | None,
) -> None:
    """Apply what is pending, or go on with what was interrupted."""
    if dry_run:
        run(data, lambda services: show_plan(services, collection_id, embedder, records))
        return

    async def action(services: Services) -> None:
        collection = await _new_layouts(services, await services.catalogue.find(collection_id))
        wanted = embedder or _begun(collection)
        if wanted is None or await _is_done(services, collection, wanted):
            click.echo("Nothing is left to do.")
            return
        await _embed_anew(
            services, collection, wanted, records, list_file, skip_unreadable, min_overlap
        )

    run(data, action)


async def _new_layouts(services: Services, collection: Collection) -> Collection:
    from rich.progress import Progress

    from lookalike.migrations import layout

    for migration in layout.pending(collection):
        total = (await services.engine.count(collection.physical, exact=True)).count
        with Progress() as bar:
            task = bar.add_task(f"Layout {migration.number}", total=total)

            def show(more: int, bar: Progress = bar, task: Any = task) -> None:
                bar.advance(task, more)

            collection = await layout.apply(services.engine, collection, migration, show)
        click.echo(f"Layout {migration.number} is applied: {migration.text}")
    return collection


async def _embed_anew(
    services: Services,
    collection: Collection,
    wanted: str,
    records: Path | None,
    list_file: Path,
    skip_unreadable: bool,
    min_overlap: float,
) -> None:
    from rich.progress import Progress

    from lookalike.migrations.reembedding import NotVerified

    with Progress() as bar:
        moving = await _reembedding(services, collection, wanted, records, bar)
        old, new = await moving.begin()
        filled = await moving.fill(old, new)
        _list_unreadable(list_file, filled.unreadable)
        if filled.unreadable and not skip_unreadable:
            raise NotVerified(
                f"{len(filled.unreadable)} records have no vector, see {list_file}: give them "
                "with --records, or leave them out with --skip-unreadable."
            )
        done, verdict = await moving.finish(
            skip_unreadable=skip_unreadable, min_overlap=min_overlap
        )
    _list_unreadable(list_file, verdict.unreadable)
    click.echo(
        f"{done.name}: {verdict.records} records have vectors of {done.embedder} "
        f"{done.revision}; {verdict.overlap:.0%} of the nearest ten are as before."
    )


async def _reembedding(
    services: Services, collection: Collection, wanted: str, records: Path | None, bar: Any
) -> Reembedding:
    from lookalike.migrations.reembedding import Progress, Reembedding, Target
    from lookalike.migrations.sources import GivenRecords

    target = await services.embedder_named(wanted, "--embedder")

    class Shown(Progress):
        task: Any = None

        def pass_begins(self, number: int, records: int) -> None:
            self.task = bar.add_task(f"Pass {number}", total=records)

        def looked_at(self, records: int) -> None:
            bar.advance(self.task, records)

    async def embed(sources: Any) -> Any:
        return await services.embed_with(target, sources)

    return Reembedding(
        services.engine,
        collection.id,
        Target(wanted, target.revision, target.dimension, target.distance),
        embed,
        GivenRecords(records),
        Shown(),
    )


def _begun(collection: Collection) -> str | None:
    """The embedder of the migration that is on its way."""
    return collection.successor.embedder if collection.successor else None


async def _is_done(services: Services, collection: Collection, wanted: str) -> bool:
    target = await services.embedder_named(wanted, "--embedder")
    return collection.successor is None and collection.revision == target.revision


def _list_unreadable(file: Path, unreadable: list[Unreadable]) -> None:
    import msgspec

    if unreadable:
        file.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in unreadable))
        click.echo(f"{len(unreadable)} records without a vector are listed in {file}.", err=True)


@migrate.command()
@click.argument("collection_id")
@data_option
def abandon(collection_id: str, data: str | None) -> None:
    """Give up a change of embedder that is on its way; the collection stays as it is."""

    async def action(services: Services) -> None:
        from lookalike.migrations import reembedding

        collection = await services.catalogue.find(collection_id)
        await reembedding.abandon(services.engine, collection)

    run(data, action)


@migrate.command()
@click.argument("collection_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def drop(collection_id: str, yes: bool, data: str | None) -> None:
    """Delete what migrations have left behind: the vectors of former embedders."""
    if not yes:
        click.confirm("Delete the former vectors of this collection?", abort=True)

    async def action(services: Services) -> None:
        from lookalike.migrations import reembedding

        collection = await services.catalogue.find(collection_id)
        for name in await reembedding.drop_predecessors(services.engine, collection):
            click.echo(f"{name} is deleted.")

    run(data, action)


def run(data: str | None, action: Any) -> None:
    from lookalike.api.cli.offline import run_with_services

    run_with_services(settings_with(data=data), action)
