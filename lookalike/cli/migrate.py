"""`lookalike migrate`: other layouts and other embedders for collections that are in use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.options import settings_with

if TYPE_CHECKING:
    from lookalike.adapter.collections.store import Collection
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
    """Migrate collections; the service may run meanwhile, and any command be repeated.

    When a command ends, every process of the service knows what it has changed.
    """


@migrate.command()
@data_option
def status(data: str | None) -> None:
    """What each collection has, what is pending, and what is on its way."""
    run(data, show_status)


async def show_status(services: Services) -> None:
    from lookalike.migrations import layout

    for collection in services.cache.all():
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
        await _show_second(services, collection)


async def _show_second(services: Services, collection: Collection) -> None:
    from lookalike.migrations.reembedding import lacking

    other = collection.second_vector
    if other is None:
        return
    without = await lacking(services.engine, collection, other.vector)
    state = "complete" if other.complete else "being filled"
    click.echo(
        f"  beside it  {other.vector}: {other.embedder} {other.revision}, {state}, "
        f"{without} records without it, answers {other.share:.0%} of the queries"
    )


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
    from lookalike.migrations.reembedding import without
    from lookalike.migrations.sources import GivenRecords

    collection = await services.cache.find(collection_id)
    for each in layout.pending(collection):
        click.echo(f"Layout {each.number}: {each.text}")
    wanted = embedder or _begun(collection)
    if wanted is None:
        click.echo("No other embedder is asked for.")
        return
    target = await services.embedder_named(wanted, "--embedder")
    given, total, urls, again = GivenRecords(records), 0, 0, 0
    other = collection.second_vector
    begun = other is not None and other.revision == target.revision
    pages = scroll(
        services.engine,
        collection.physical,
        filter=without(other.vector) if other and begun else None,
        payload=["_id", "_url"],
        vectors=False,
        page=1000,
    )
    async for points, _ in pages:
        payloads = [point.payload or {} for point in points]
        total += len(payloads)
        again += sum(str(p.get("_id")) in given for p in payloads)
        urls += sum(bool(p.get("_url")) and str(p.get("_id")) not in given for p in payloads)
    click.echo(
        f"Embedder {collection.embedder} {collection.revision} -> {wanted} {target.revision}, "
        f"{collection.dimension} -> {target.dimension} dimensions\n"
        f"{total} records {'left' if begun else 'in all'}: "
        f"{again} are given again, {urls} have a URL, "
        f"{total - again - urls} have no picture"
    )


@migrate.command()
@click.argument("collection_id")
@embedder_option
@records_option
@click.option("--skip-unreadable", is_flag=True, help="Go on although records have no vector.")
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
@click.option("--beside", is_flag=True, help="Do not switch: keep both vectors, to compare them.")
@click.option("--dry-run", is_flag=True, help="As `plan`.")
@data_option
def up(
    collection_id: str,
    embedder: str | None,
    records: Path | None,
    skip_unreadable: bool,
    list_file: Path,
    min_overlap: float,
    beside: bool,
    dry_run: bool,
    data: str | None,
) -> None:
    """Apply what is pending, or go on with what was interrupted."""
    if dry_run:
        run(data, lambda services: show_plan(services, collection_id, embedder, records))
        return

    async def action(services: Services) -> None:
        from lookalike.migrations.reembedding import NotVerified, lacking

        collection = await _new_layouts(services, await services.cache.find(collection_id))
        wanted = embedder or _begun(collection)
        if wanted is None:
            if not await lacking(services.engine, collection, collection.vector):
                click.echo("Nothing is left to do.")
                return
            wanted = collection.embedder
        try:
            await _embed_anew(
                *(services, collection, wanted, records),
                *(list_file, skip_unreadable, min_overlap, beside),
            )
        except NotVerified as error:
            _list_unreadable(list_file, error.unreadable)
            raise

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
    beside: bool,
) -> None:
    from rich.progress import Progress

    from lookalike.adapter.collections.second_vector import SETTLE_SECONDS
    from lookalike.migrations.reembedding import lacking

    with Progress() as bar:
        moving = await _reembedding(services, collection, wanted, records, bar)
        if moving.target.revision == collection.revision:
            missing = await lacking(services.engine, collection, collection.vector)
            left = await moving.fill(collection, collection.vector) if missing else []
            done, said = collection, f"{missing - len(left)} of {missing} that had none got theirs"
        else:
            verdict = await moving.prepare(skip_unreadable=skip_unreadable, min_overlap=min_overlap)
            left = verdict.unreadable
            said = f"{verdict.overlap:.0%} of the nearest ten are the same"
            if beside:
                done, said = collection, f"beside them those of {wanted}, {said}"
                await asyncio.sleep(SETTLE_SECONDS)
            else:
                done = await moving.switch()
    _list_unreadable(list_file, left)
    click.echo(f"{done.name}: searched by vectors of {done.embedder} {done.revision}; {said}.")


async def _reembedding(
    services: Services, collection: Collection, wanted: str, records: Path | None, bar: Any
) -> Reembedding:
    from lookalike.migrations.reembedding import Progress, Reembedding, Target
    from lookalike.migrations.sources import GivenRecords

    target = await services.embedder_named(wanted, "--embedder")

    class Shown(Progress):
        task: Any = None

        def pass_begins(self, number: int, records: int) -> None:
            self.task = bar.add_task(f"Pass {number}", total=records, visible=records > 0)

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
    other = collection.second_vector
    return None if other is None or other.complete else other.embedder


def _list_unreadable(file: Path, unreadable: Sequence[Unreadable]) -> None:
    import msgspec

    if unreadable:
        file.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in unreadable))
        click.echo(
            f"{len(unreadable)} records without a vector are listed in {file}: give them again "
            "with --records, or leave them out with --skip-unreadable.",
            err=True,
        )


@migrate.command()
@click.argument("collection_id")
@data_option
def switch(collection_id: str, data: str | None) -> None:
    """Search by the other vector from now on; once more takes it back."""

    async def action(services: Services) -> None:
        from lookalike.adapter.collections import second_vector

        collection = await services.cache.find(collection_id)
        done = await second_vector.switch(services.engine, collection)
        await asyncio.sleep(second_vector.SETTLE_SECONDS)
        click.echo(f"{done.name}: searched by {done.vector}, {done.embedder} {done.revision}.")

    run(data, action)


@migrate.command()
@click.argument("collection_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def drop(collection_id: str, yes: bool, data: str | None) -> None:
    """Delete the vector that is not searched: the former one, or one that is being filled."""
    if not yes:
        click.confirm("Delete the other vector of all records of this collection?", abort=True)

    async def action(services: Services) -> None:
        from lookalike.adapter.collections import second_vector

        collection = await services.cache.find(collection_id)
        await second_vector.drop(services.engine, collection)
        other = collection.second_vector
        click.echo("There was none." if other is None else f"{other.vector} is deleted.")

    run(data, action)


def run(data: str | None, action: Any) -> None:
    from lookalike.cli.offline import run_with_services

    run_with_services(settings_with(data=data), action)
