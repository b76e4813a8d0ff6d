"""The field `_url`: fetches an image from the web without trusting whoever wrote the URL.

Built on httpcore, whose network backend is the seam where a name becomes an address
(https://www.encode.io/httpcore/network-backends/): ours resolves the name once, judges every
address, and connects to a judged one. TLS still verifies the name. Connections are kept and used
again. Any port is allowed; proxies and other settings of the environment are not read.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpcore
import httpx
import tenacity

from lookalike import __version__
from lookalike.embedders.images.addresses import AddressRules
from lookalike.embedders.images.byte_budget import Hold
from lookalike.embedders.images.connecting import Names, Resolver, make_backend
from lookalike.embedders.images.formats import ACCEPT
from lookalike.embedders.images.image_errors import (
    ImageBusy,
    ImageError,
    ImageNotFetched,
    ImageTooLarge,
    UrlRefused,
)
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.origin_answers import (
    REDIRECTS,
    read_body,
    read_location,
    read_refusal,
)
from lookalike.embedders.images.turns import FetchDeadline, FetchTurns

log = logging.getLogger(__name__)

MAX_URL_LENGTH = 8192
# What a server or the network can do to us.
_OUTSIDE = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)
# Of that, what is often over at once: a connection that breaks off.
_BROKEN_OFF = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=8.0) + tenacity.wait_random(0, 0.2)
_CODING = b"content-encoding"
_HEADERS = {
    "Accept": ACCEPT,
    # An image is compressed already; a server that does it again is understood, within limits.
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, eq=False)
class FetchTerms:
    """The terms on which one request has its images fetched. Requests take turns, by identity."""

    timeout_s: float | None = None
    """Seconds for one `_url`, where they are fewer than the settings allow."""
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Of each origin, `https://host` or `http://host:port`: for it alone, and secret."""


@dataclass(frozen=True)
class _Errand:
    """One fetch on its way, over redirects and repetitions."""

    terms: FetchTerms
    query: bool
    deadline: FetchDeadline
    pool: httpcore.AsyncConnectionPool
    hold: Hold | None


class Fetcher:
    """Fetches images, a bounded number at a time. For one event loop; `close` it at the end.

    `resolve` and `tls` are seams for tests and special networks.
    """

    def __init__(
        self,
        settings: ImageSettings,
        *,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._turns = FetchTurns(settings.fetch_connections, settings.fetch_per_host)
        self._names = Names()
        self._rules = AddressRules(settings.allowed_hosts)
        self._resolve = resolve or self._names.look_up
        self._tls = tls
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._opening = asyncio.Lock()
        contact = f" (+{settings.fetch_contact})" if settings.fetch_contact else ""
        self._headers = _HEADERS | {"User-Agent": f"lookalike/{__version__}{contact}"}

    async def fetch(
        self,
        url: str,
        terms: FetchTerms | None = None,
        *,
        query: bool = False,
        hold: Hold | None = None,
    ) -> bytes:
        """The bytes behind `url`, redirects followed; `query`: somebody waits for a search.

        `hold`: has what a large one takes of the bytes that may wait, until it is given back.

        A server that is busy or breaks off is asked again, when it says so and while there is time.
        Raises `UrlRefused`, `ImageNotFetched` (also for a status other than 200, and when
        `fetch_timeout_s` is over) or `ImageTooLarge`.
        """
        terms = terms or FetchTerms()
        most_s = self._settings.fetch_timeout_s
        limit_s = min(most_s, terms.timeout_s or most_s)
        try:
            target, pool = _parse(url), await self._connections()
            async with FetchDeadline.of(limit_s) as deadline:
                return await self._follow(target, _Errand(terms, query, deadline, pool, hold))
        except TimeoutError:
            raise ImageNotFetched(f"`_url` gave no image within {limit_s:g} s") from None
        except ImageError:
            raise
        except Exception as error:
            if not isinstance(error, _OUTSIDE):
                log.exception("a fetch failed in a way that we do not know")
            raise ImageNotFetched("the server of `_url` cannot be reached or breaks off") from error

    async def close(self) -> None:
        """Closes the connections."""
        if self._pool is not None:
            await self._pool.aclose()
        self._names.close()

    async def _follow(self, url: httpx.URL, errand: _Errand) -> bytes:
        for _ in range(self._settings.max_redirects + 1):
            answer: bytes | httpx.URL = await self._attempts(errand)(self._get, url, errand)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise ImageNotFetched("`_url` is redirected too often")

    def _attempts(self, errand: _Errand) -> tenacity.AsyncRetrying:
        """A repetition that would come after the deadline is not waited for."""
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type((ImageBusy, *_BROKEN_OFF)),
            wait=_wait_s,
            stop=lambda state: (
                state.attempt_number >= self._settings.fetch_attempts
                or state.upcoming_sleep >= errand.deadline.left_s()
            ),
            reraise=True,
        )

    async def _get(self, url: httpx.URL, errand: _Errand) -> bytes | httpx.URL:
        """The body, or where to look for it."""
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        headers = self._headers_for(url, errand.terms)
        timeouts = {"connect": self._settings.connect_timeout_s}
        async with (
            self._turns.at(url.host.rstrip("."), errand.terms, errand.deadline, query=errand.query),
            errand.pool.stream(
                "GET", target, headers=headers, extensions={"timeout": timeouts}
            ) as response,
        ):
            return await self._read(url, response, errand)

    def _headers_for(self, url: httpx.URL, terms: FetchTerms) -> dict[bytes | str, bytes | str]:
        """Ours, and in place of them those that the request has for exactly this origin."""
        own = terms.headers.get(f"{url.scheme}://{url.netloc.decode('ascii')}", {})
        sent: dict[bytes | str, bytes | str] = {"Host": url.netloc}
        named = {name.lower() for name in own}
        sent.update((name, v) for name, v in self._headers.items() if name.lower() not in named)
        sent.update(own.items())
        return sent

    async def _read(
        self, url: httpx.URL, response: httpcore.Response, errand: _Errand
    ) -> bytes | httpx.URL:
        fields = {name.lower(): value for name, value in response.headers}
        if response.status in REDIRECTS and b"location" in fields:
            return _join(url, fields[b"location"])
        if response.status != 200:
            raise read_refusal(response.status, fields.get(b"retry-after", b""))
        length, most = fields.get(b"content-length", b""), self._settings.max_bytes
        if length.isdigit() and int(length) > most:
            raise ImageTooLarge(f"`_url` has more than {most} bytes")
        codings = b",".join(v for name, v in response.headers if name.lower() == _CODING)
        expected = int(length) if length.isdigit() and not codings else most

        async def make_room(bytes_so_far: int) -> None:
            if errand.hold is not None and errand.hold.needs_more(bytes_so_far):
                with errand.deadline.paused():
                    await errand.hold.take(expected)

        return await read_body(response.aiter_stream(), codings, most, make_room)

    async def _connections(self) -> httpcore.AsyncConnectionPool:
        async with self._opening:
            if self._pool is None:
                # Reading the certificates takes some 20 ms: not at start, not in the event loop.
                tls = self._tls or await asyncio.to_thread(_tls)
                most = 2 * self._settings.fetch_connections  # Of inserts, and of searches.
                self._pool = httpcore.AsyncConnectionPool(
                    ssl_context=tls,
                    max_connections=most,
                    max_keepalive_connections=most // 2,
                    keepalive_expiry=15.0,
                    network_backend=make_backend(self._rules, self._resolve),
                )
        return self._pool


def _wait_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, ImageBusy) else 0.0
    return max(asked_s, _BACKOFF(state))


def _parse(url: str) -> httpx.URL:
    if len(url) > MAX_URL_LENGTH:
        raise UrlRefused(f"`_url` has more than {MAX_URL_LENGTH} characters")
    try:
        parsed = httpx.URL(url.strip())
        if parsed.scheme not in ("http", "https") or not parsed.raw_host:
            raise UrlRefused("`_url` is not a whole http or https URL")
        if parsed.userinfo:
            raise UrlRefused("`_url` holds a user name or password")
        if parsed.port == 0:
            raise UrlRefused("`_url` names port 0")
    except (httpx.InvalidURL, ValueError) as error:
        raise UrlRefused("`_url` is not a valid URL") from error
    return parsed


def _join(url: httpx.URL, location: bytes) -> httpx.URL:
    try:
        return _parse(read_location(url, location))
    except (httpx.InvalidURL, ValueError) as error:
        raise UrlRefused("`_url` is redirected to something that is no URL") from error


def _tls() -> ssl.SSLContext:
    """The system's certificates (an internal authority may be among them) and certifi's."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
