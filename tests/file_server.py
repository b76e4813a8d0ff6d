"""A web server of images on loopback, as a shop has its own."""

from __future__ import annotations

import http.server
import threading
from typing import NamedTuple

from tests.waiting import PATIENCE_SECONDS


class Redirect(NamedTuple):
    target: str


class Refusal(NamedTuple):
    status: int
    fields: dict[str, str]


class Held:
    """A file whose answer waits until the test lets it go."""

    def __init__(self, url: str, body: bytes) -> None:
        self.url = url
        self.body = body
        self.asked = threading.Event()
        self.let_go = threading.Event()


class FileServer:
    """Serves from memory: path -> bytes, another address, or bytes that are held back.

    `requests` are the paths that were asked for, `heads` the fields of each request.
    """

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Redirect | Refusal | Held] = {}
        self.requests: list[str] = []
        self.heads: list[dict[str, str]] = []
        pages, requests, heads = self.pages, self.requests, self.heads

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                heads.append({name.lower(): value for name, value in self.headers.items()})
                page = pages.get(self.path)
                body = page if isinstance(page, bytes) else b""
                if isinstance(page, Held):
                    page.asked.set()
                    page.let_go.wait(PATIENCE_SECONDS)
                    body = page.body
                if page is None:
                    page = Refusal(404, {})
                elif isinstance(page, Redirect):
                    page = Refusal(302, {"Location": page.target})
                self.send_response(page.status if isinstance(page, Refusal) else 200)
                for name, value in page.fields.items() if isinstance(page, Refusal) else ():
                    self.send_header(name, value)
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

    def refuse(self, path: str, status: int, **fields: str) -> str:
        """The URL that is answered with this status; a field's `_` stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        self.pages[path] = Refusal(status, named)
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
