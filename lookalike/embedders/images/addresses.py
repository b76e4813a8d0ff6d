"""Which network addresses may be fetched: public ones, and those that the operator allows.

A record's URL is written by a stranger, and the service stands inside somebody's network. So the
name is resolved once, every address that it has is judged here, and the connection goes to a
judged address, never to the name again (a second look-up could give another answer).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Where IPv6 unicast is handed out today (RFC 4291, IANA): anything else is reserved, local,
# or an IPv4 address in disguise.
_IPV6_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
# What `ipaddress` of some Python that we run on takes for public. The last is public by its number,
# but inside Azure it is the platform's own door to a machine.
_SPECIAL: tuple[Network, ...] = (
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv6Network("3fff::/20"),
    ipaddress.IPv4Network("168.63.129.16/32"),
)


class AddressRules:
    """Judges hosts and addresses. `allowed_hosts`: exact host names, addresses, or networks.

    Raises ValueError for anything else. An international name is given in its ASCII form.
    """

    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for entry in allowed_hosts:
            try:
                self._networks.append(ipaddress.ip_network(entry.strip("[] "), strict=False))
            except ValueError:
                if not _HOST.fullmatch(_normal(entry)):
                    raise ValueError(
                        f"allowed host {entry!r} is no host name, address or network; "
                        "ports and patterns are not understood"
                    ) from None
                self._names.add(_normal(entry))

    def allows(self, host: str, addresses: Iterable[str]) -> bool:
        """Whether a connection to `host`, which has these addresses, is allowed: all or none.

        A public address beside a private one makes nothing better: that is how a name is
        prepared for an attack.
        """
        judged = [parse_address(address) for address in addresses]
        if not judged:
            return False
        if _normal(host) in self._names:
            return True
        return all(a is not None and (self._is_listed(a) or is_public(a)) for a in judged)

    def _is_listed(self, address: Address) -> bool:
        return _is_in(_unwrapped(address), self._networks)


def parse_address(text: str) -> Address | None:
    """An address as the resolver gives it, its scope (`%eth0`) dropped; None if it is none."""
    try:
        return ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Global unicast: not private, local, shared (RFC 6598), multicast, reserved or wrapped."""
    address = _unwrapped(address)
    if address.is_multicast or not address.is_global or address.is_reserved:
        return False
    if _is_in(address, _SPECIAL):
        return False
    return address.version == 4 or address in _IPV6_UNICAST


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that a gateway would make of an IPv6 one: mapped, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _normal(host: str) -> str:
    return host.strip().lower().rstrip(".")
