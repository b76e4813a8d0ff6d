"""A service as users have it: a process started from the command line, spoken to over TCP."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.waiting import PATIENCE_SECONDS, wait_until


class LiveServer:
    """`lookalike serve` on a free port of loopback, ended by its process id."""

    def __init__(self, data: Path, environment: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self.environment = dict(environment or {})
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        self.launch(*options)
        self.wait_ready()

    def launch(self, *options: str) -> None:
        _share_models(self.data)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "lookalike", "serve"),
                *("--port", str(self.port), "--data", str(self.data)),
                *options,
            ],
            env=_environment(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def wait_ready(self) -> None:
        wait_until(self._ready, "the service is ready")

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            assert self.process.stdout is not None
            raise AssertionError(self.process.stdout.read().decode())
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        return False

    def stop(self) -> str:
        """Ends the service in order and answers what it printed."""
        if self.process is None:
            return ""
        self.process.terminate()
        try:
            output, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
            raise AssertionError(f"the service did not stop: {output.decode()}") from None
        self.process = None
        return output.decode()

    def kill(self) -> None:
        """As a power cut would: no handler runs."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()
        self.process = None


_MODELS = tempfile.TemporaryDirectory(prefix="lookalike-models-")


def _share_models(data: Path) -> None:
    """What embedders prepare in a new data folder takes seconds, and is the same in each."""
    data.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (data / "models").symlink_to(_MODELS.name)


@contextlib.contextmanager
def live_server(data: Path, environment: Mapping[str, str] | None = None) -> Iterator[LiveServer]:
    server = LiveServer(data, environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def lookalike(
    *arguments: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user does, in that folder; it never shows a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *arguments],
        env=_environment(environment or {}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """That of the tests, less what would set up the service in another way."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")}
    return inherited | dict(more)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
