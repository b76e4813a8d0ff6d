"""`lookalike serve`: one engine process, one or more API processes."""

from __future__ import annotations

import ipaddress
import os
import signal
import sys
from pathlib import Path

import click

from lookalike.api.settings import ENGINE_SOCKET, MAIN_PID, HttpSettings, Settings, SettingsError
from lookalike.cli.options import data_option, settings_with, variable_option


@click.command()
@variable_option(HttpSettings, "host", "Address to listen on.")
@variable_option(HttpSettings, "port", "Port to listen on.", type=int)
@data_option
@variable_option(HttpSettings, "workers", "API processes.", type=int)
def serve(host: str | None, port: int | None, data: str | None, workers: int | None) -> None:
    """Start the service: the embedded engine, or the Qdrant server of LOOKALIKE_QDRANT_URL."""
    settings = settings_with(host=host, port=port, data=data, workers=workers)
    check_exposure(settings)
    if settings.qdrant.url:
        wait_for_qdrant(settings)
        run_api(settings)
    else:
        run_with_engine(settings)


def run_with_engine(settings: Settings) -> None:
    # The engine starts while this process is still importing the web framework.
    from lookalike.adapter.engines.embedded.supervisor import DataFolderLocked, Supervisor

    engine = Supervisor(Path(settings.data.folder), settings.worker)
    try:
        engine.start()
    except DataFolderLocked as error:
        raise click.ClickException(str(error)) from None
    try:
        os.environ[ENGINE_SOCKET] = str(engine.socket_path)
        run_api(settings)
    finally:
        engine.stop()


def wait_for_qdrant(settings: Settings) -> None:
    import asyncio

    from lookalike.adapter.engines.server.engine import ServerEngine, wait_for_server
    from lookalike.adapter.errors import LookalikeError

    async def wait() -> str:
        engine = ServerEngine.connect(settings.qdrant)
        try:
            return await wait_for_server(engine, settings.qdrant.start_wait_s, click.echo)
        finally:
            await engine.close()

    try:
        version = asyncio.run(wait())
    except LookalikeError as error:
        raise click.ClickException(f"LOOKALIKE_QDRANT_URL: {error.text}") from None
    click.echo(f"Collections are kept by Qdrant {version}.")


def run_api(settings: Settings) -> None:
    import uvicorn

    # Uvicorn stops in order and then sends itself the signal again, which would end this process
    # before the engine is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.environ[MAIN_PID] = str(os.getpid())
    # Small matrix products on many threads cost nearly twice their time on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    click.echo(f"Lookalike listens on http://{settings.http.host}:{settings.http.port}")
    uvicorn.run(
        "lookalike.api.app:create_app_from_environment",
        factory=True,
        host=settings.http.host,
        port=settings.http.port,
        workers=settings.http.workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


def check_exposure(settings: Settings) -> None:
    """Without tokens the service speaks to this machine alone, and says so."""
    from lookalike.api.auth import tokens_from
    from lookalike.api.request_paths import collections_by_prefix

    try:
        collections_by_prefix(settings.http)
        if tokens_from(settings.access).configured:
            return
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if not is_loopback(settings.http.host):
        raise click.ClickException(
            f"No tokens are configured, so {settings.http.host} is refused: set LOOKALIKE_TOKENS "
            "or LOOKALIKE_TOKENS_FILE, or listen on 127.0.0.1"
        )
    click.echo("No tokens are configured: any token is accepted, from this machine only.")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
