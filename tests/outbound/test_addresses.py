from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.outbound.addresses import is_allowed_address

_DENIED = """
0.0.0.0 0.1.2.3 0.255.255.255
10.0.0.0 10.1.2.3 10.255.255.255
100.64.0.0 100.100.100.200 100.127.255.255
127.0.0.1 127.1.2.3 127.255.255.255
168.63.129.16
169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255
172.16.0.0 172.31.255.255
192.0.0.0 192.0.0.8 192.0.0.170 192.0.0.192 192.0.2.1
192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1
192.168.0.1 192.168.255.255
198.18.0.0 198.19.255.255 198.51.100.1 203.0.113.1
224.0.0.0 224.0.0.1 233.252.0.1 239.255.255.255
240.0.0.0 250.1.2.3 255.255.255.255
:: ::1 ::2 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff
::ffff:0.0.0.0 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a9fe:a9fe ::ffff:192.168.0.1
::ffff:0:10.0.0.1 ::ffff:0:8.8.8.8
64:ff9b:: 64:ff9b::8.8.8.8 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe
64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 64:ff9b:1::a00:1
100:: 100::1 100:0:0:1::1
2001:: 2001::1 2001:0:53aa:64c:0:fbff:f5ff:fffe 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1
2001:30::1
2001:db8:: 2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
2002:: 2002:0a00:0001:: 2002:7f00:1::1 2002:808:808::1
2620:4f:8000::1
3fff:: 3fff:fff::1
4000:: 5f00::1 8000::1 c000::1 e000::1
fc00:: fc00::1 fd00::1 fd00:ec2::254 fdff::1
fe80:: fe80::1 febf::1 fe80::1%eth0 2606:4700::1111%1
fec0:: fec0::1 feff::1
ff00:: ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""
_ALLOWED = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.1
192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.1 203.0.114.1 223.255.255.255
::ffff:8.8.8.8 ::ffff:808:808
2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2620:fe::fe 2a00:1450:4001:81b::200e
"""
NOT_ADDRESSES = [
    "",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "010.0.0.1",
    "1.1.1.1 ",
    "1.1.1.1\n",
    "[::1]",
]


@pytest.mark.parametrize("address", _DENIED.split())
def test_denied(address: str) -> None:
    assert not is_allowed_address(address)


@pytest.mark.parametrize("address", _ALLOWED.split())
def test_allowed(address: str) -> None:
    assert is_allowed_address(address)


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_what_is_no_address_is_denied(text: str) -> None:
    assert not is_allowed_address(text)


def test_the_operators_networks_win() -> None:
    networks = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
    assert is_allowed_address("10.1.2.3", networks)
    assert is_allowed_address("::ffff:10.1.2.3", networks)
    assert is_allowed_address("fd00::1", networks)
    assert not is_allowed_address("11.0.0.1%1", networks)
    assert not is_allowed_address("192.168.0.1", networks)
    assert not is_allowed_address("fc00::1", networks)


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_a_mapped_address_counts_as_the_one_in_it(address: ipaddress.IPv4Address) -> None:
    assert is_allowed_address(f"::ffff:{address}") == is_allowed_address(address)


@settings(deadline=None)
@given(st.ip_addresses())
def test_never_more_than_what_the_registries_call_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_allowed_address(address):
        inner = getattr(address, "ipv4_mapped", None) or address
        assert inner.is_global
        assert not inner.is_multicast
        assert not inner.is_private


@settings(deadline=None)
@given(st.ip_addresses(v=4), st.sampled_from(["2002:{}::1", "64:ff9b::{}", "64:ff9b:1::{}", "::{}", "2001::{}"]))
def test_no_tunnel_carries_an_address_in(address: ipaddress.IPv4Address, tunnel: str) -> None:
    number = f"{int(address) >> 16:x}:{int(address) & 0xFFFF:x}"
    assert not is_allowed_address(tunnel.format(number))
