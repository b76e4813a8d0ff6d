"""`lookalike serve`: one engine process, one or more API processes."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import click

from lookalike.api.settings import ENGINE_SOCKET, MAIN_PID, HttpSettings, Settings
from lookalike.cli.options import SettingsRefused, data_option, settings_with, variable_option

if TYPE_CHECKING:
    import uvicorn

ANNOUNCE_SECONDS = 0.02


@click.command()
@variable_option(HttpSettings, "host", "Address to listen on.")
@variable_option(HttpSettings, "port", "Port to listen on; 0: one that is free.")
@data_option
@variable_option(HttpSettings, "workers", "API processes.")
def serve(host: str | None, port: str | None, data: str | None, workers: str | None) -> None:
    """Start the service: the embedded engine, or the Qdrant server of LOOKALIKE_QDRANT_URL."""
    settings = settings_with(host=host, port=port, data=data, workers=workers)
    check_exposure(settings)
    listener = bind(settings.http.host, settings.http.port)
    if settings.qdrant.url:
        wait_for_qdrant(settings)
        run_api(settings, listener)
    else:
        run_with_engine(settings, listener)


def run_with_engine(settings: Settings, listener: socket.socket) -> None:
    # The engine starts while this process is still importing the web framework.
    from lookalike.cli.own_engine import own_engine

    with own_engine(settings) as path:
        os.environ[ENGINE_SOCKET] = str(path)
        run_api(settings, listener)


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


def bind(host: str, port: int) -> socket.socket:
    """A socket that has the address to itself and does not listen yet.

    Bound before anything starts, so that a port that is taken is told at once.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # `localhost` has two addresses; whoever connects tries that of IPv4 in any case.
        family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except UnicodeError:
        raise SettingsRefused(f"LOOKALIKE_HOST: {host} is no name of a host") from None
    except OSError as error:
        name = "PORT" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "HOST"
        text = f"LOOKALIKE_{name}: {host}, port {port}: {error.strerror}"
        raise SettingsRefused(text) from None
    listener.set_inheritable(True)
    return listener


def api_config(settings: Settings) -> uvicorn.Config:
    import uvicorn

    return uvicorn.Config(
        "lookalike.api.app:create_app_from_environment",
        factory=True,
        workers=settings.http.workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


def run_api(settings: Settings, listener: socket.socket) -> None:
    import uvicorn
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    from lookalike.api.lifespan import START_FAILED

    status = 0

    def give_up(*_: object) -> None:
        nonlocal status
        status = STARTUP_FAILURE
        signal.raise_signal(signal.SIGTERM)

    # Uvicorn stops in order and then sends itself the signal again, which would end this process
    # before the engine is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(status))
    os.environ[MAIN_PID] = str(os.getpid())
    # Small matrix products on many threads cost nearly twice their time on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    config = api_config(settings)
    heard = (listener.dup(), settings.http.host)
    threading.Thread(target=announce, args=heard, name="announce", daemon=True).start()
    if settings.http.workers == 1:
        signal.signal(START_FAILED, give_up)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listener])
        return
    processes = Multiprocess(config, sockets=[listener])
    signal.signal(START_FAILED, give_up)  # After it has set its own handlers, of every signal.
    processes.run()
    if any(process.exitcode == STARTUP_FAILURE for process in processes.processes):
        status = STARTUP_FAILURE
    sys.exit(status)


def announce(listener: socket.socket, host: str) -> None:
    """Says where the service listens once an API process does: all of them share the socket, so the
    system tells it, whichever process it is."""
    with listener:
        while not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            time.sleep(ANNOUNCE_SECONDS)
        port = listener.getsockname()[1]
    click.echo(f"Lookalike listens on http://{f'[{host}]' if ':' in host else host}:{port}")


def check_exposure(settings: Settings) -> None:
    """Without tokens the service speaks to this machine alone, and says so."""
    from lookalike.api.auth import tokens_from

    if tokens_from(settings.access).configured:
        return
    if not is_loopback(settings.http.host):
        raise SettingsRefused(
            f"No tokens are configured, so {settings.http.host} is refused: set LOOKALIKE_TOKENS "
            "or LOOKALIKE_TOKENS_FILE, or listen on 127.0.0.1"
        )
    click.echo("No tokens are configured: any token is accepted, from this machine only.")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
