"""A web server of images on loopback, as a shop has its own."""

from __future__ import annotations

import http.server
import threading
from typing import NamedTuple

from tests.waiting import PATIENCE_SECONDS


class Redirect(NamedTuple):
    target: str


class Held:
    """A file whose answer waits until the test lets it go."""

    def __init__(self, url: str, body: bytes) -> None:
        self.url = url
        self.body = body
        self.asked = threading.Event()
        self.let_go = threading.Event()


class FileServer:
    """Serves from memory: path -> bytes, another address, or bytes that are held back.

    `requests` are the paths that were asked for.
    """

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Redirect | Held] = {}
        self.requests: list[str] = []
        pages, requests = self.pages, self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                page = pages.get(self.path)
                body = page if isinstance(page, bytes) else b""
                if isinstance(page, Held):
                    page.asked.set()
                    page.let_go.wait(PATIENCE_SECONDS)
                    body = page.body
                self.send_response(
                    404 if page is None else 302 if isinstance(page, Redirect) else 200
                )
                if isinstance(page, Redirect):
                    self.send_header("Location", page.target)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def add(self, path: str, body: bytes) -> str:
        """The URL under which the bytes can be fetched from now on."""
        self.pages[path] = body
        return self.url(path)

    def redirect(self, path: str, target: str) -> str:
        """The URL that sends whoever asks to another address."""
        self.pages[path] = Redirect(target)
        return self.url(path)

    def hold(self, path: str, body: bytes) -> Held:
        held = Held(self.url(path), body)
        self.pages[path] = held
        return held

    def has_served(self, count: int) -> bool:
        return len(self.requests) >= count

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
