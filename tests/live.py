"""A service as users have it: a process started from the command line, spoken to over TCP."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

START_SECONDS = 30.0


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
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "lookalike", "serve"),
                *("--port", str(self.port), "--data", str(self.data)),
                *options,
            ],
            env=inherited | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.wait_ready()

    def wait_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                assert self.process.stdout is not None
                raise AssertionError(self.process.stdout.read().decode())
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200:
                    return
            time.sleep(0.02)
        raise AssertionError("the service did not become ready")

    def stop(self) -> str:
        """Ends the service in order and answers what it printed."""
        if self.process is None:
            return ""
        self.process.terminate()
        try:
            output, _ = self.process.communicate(timeout=START_SECONDS)
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


@contextlib.contextmanager
def live_server(data: Path, environment: Mapping[str, str] | None = None) -> Iterator[LiveServer]:
    server = LiveServer(data, environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class FileServer:
    """Serves images from memory over HTTP on loopback, as a shop serves its own."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        files = self.files

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def add(self, path: str, body: bytes) -> str:
        """The URL under which the bytes can be fetched from now on."""
        self.files[path] = body
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
