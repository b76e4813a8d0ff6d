"""From a host's name to a connection: resolved once, judged, and never asked again."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpcore

from lookalike.embedders.images.addresses import AddressRules
from lookalike.embedders.images.image_errors import ImageNotFetched

log = logging.getLogger(__name__)

Resolver = Callable[[str, int], Awaitable[list[str]]]

# A name with more addresses than that is not tried to the end.
MAX_ADDRESSES = 4
HINT_S = 3600.0
MAX_HINTS = 20
_NO_ADDRESS = "the host of `_url` has no address that may be fetched"


class Names:
    """The system's resolver, in threads that nobody else needs.

    Those who ask for one host together share the answer: a name server that does not answer keeps
    one thread busy, and not all of them.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="resolve")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def look_up(self, host: str, port: int) -> list[str]:
        """All addresses of a host. Raises OSError or UnicodeError."""
        asked = self._asked.get(host)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, _find_addresses, host, port)
            self._asked[host] = asked
            asked.add_done_callback(partial(self._forget, host))
        # Whoever stops waiting does not stop it for the others.
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Look-ups that wait are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, host: str, asked: asyncio.Future[list[str]]) -> None:
        del self._asked[host]
        if not asked.cancelled():
            asked.exception()  # Perhaps nobody waits any more; then it is not lost but unneeded.


class _Hints:
    """Tells the operator, who alone may know, of hosts whose addresses are not public.

    Whoever writes records chooses the hosts, so the lines are bounded: one for each host, and
    `MAX_HINTS` in all, within `HINT_S`.
    """

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def tell(self, host: str, addresses: list[str]) -> None:
        now = time.monotonic()
        self._told = {name: at for name, at in self._told.items() if now - at < HINT_S}
        if host in self._told or len(self._told) >= MAX_HINTS:
            return
        self._told[host] = now
        log.warning(
            "fetch refused: host=%s addresses=%s reason=private allowed_by=LOOKALIKE_FETCH_ALLOW",
            host,
            ",".join(addresses[:MAX_ADDRESSES]),
        )


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to judged addresses only."""

    def __init__(self, rules: AddressRules, resolve: Resolver) -> None:
        self._rules = rules
        self._resolve = resolve
        self._hints = _Hints()
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = []
        # The same answer whether there is no such name or we must not go there: see `image_errors`.
        if not self._rules.allows(host, addresses):
            if addresses:
                self._hints.tell(host, addresses)
            raise ImageNotFetched(_NO_ADDRESS)
        failed: Exception | None = None
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise ImageNotFetched(_NO_ADDRESS)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _find_addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def make_backend(rules: AddressRules, resolve: Resolver) -> httpcore.AsyncNetworkBackend:
    """What connects httpcore to hosts: to addresses that `rules` allow and to no other."""
    return _CheckedBackend(rules, resolve)
