"""Which addresses are public, which are allowed, and how they may be disguised."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.embedders.images.addresses import AddressRules, is_public, parse_address

PUBLIC = [
    "8.8.8.8", "1.1.1.1", "93.184.216.34", "198.17.255.255", "172.32.0.1", "100.128.0.1",
    "2606:4700:4700::1111", "2a00:1450:4001:82a::200e", "::ffff:8.8.8.8", "2002:808:808::1",
    "64:ff9b::8.8.8.8",
]  # fmt: skip
NOT_PUBLIC = [
    # this host, private, shared, loopback, link-local and the metadata services of clouds
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.170.2", "100.100.100.200",
    "192.0.0.192", "192.0.0.9", "192.88.99.1", "168.63.129.16",
    # documentation, benchmarks, multicast, reserved, broadcast
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255",
    # the same in IPv6
    "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "2001:db8::1", "3fff::1", "100::1", "2001::1", "4000::1",
    # IPv4 in the clothes of IPv6: mapped, compatible, 6to4, NAT64 public and local
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1",
    "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::8.8.8.8", "::ffff:0:127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert is_public(address)


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_not_public(text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_disguise_makes_an_ipv4_address_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for disguise in ((0xFFFF << 32) + number, (0x2002 << 112) + (number << 80), number):
        disguised = ipaddress.IPv6Address(disguise)
        assert not is_public(disguised) or is_public(address)


def test_one_private_address_spoils_the_name() -> None:
    rules = AddressRules()
    assert rules.allows("shop.test", ["8.8.8.8", "2606:4700:4700::1111"])
    assert not rules.allows("shop.test", ["8.8.8.8", "10.0.0.1"])
    assert not rules.allows("shop.test", ["8.8.8.8", "nonsense"])
    assert not rules.allows("shop.test", [])


def test_the_operator_may_allow_names_addresses_and_networks() -> None:
    rules = AddressRules(["Photos.Internal.", "10.1.0.7/16", "127.0.0.1", "[fd00::1]"])
    assert rules.allows("photos.internal", ["192.168.0.9"])
    assert rules.allows("PHOTOS.internal.", ["192.168.0.9"])
    assert not rules.allows("sub.photos.internal", ["192.168.0.9"])
    assert rules.allows("anything", ["10.1.255.1", "127.0.0.1", "8.8.8.8", "fd00::1"])
    assert rules.allows("anything", ["::ffff:10.1.2.3"])
    assert not rules.allows("anything", ["10.2.0.1"])
    assert not rules.allows("anything", ["127.0.0.2"])


@pytest.mark.parametrize(
    "entry", ["", " ", "10.0.0.0/99", "a/b", "host:80", "*.internal", "http://x"]
)
def test_an_entry_that_means_nothing_is_refused_at_start(entry: str) -> None:
    with pytest.raises(ValueError, match="no host name, address or network"):
        AddressRules([entry])
