"""A program for inside a network namespace in which every address there is belongs to this machine.

    unshare --net --mount [--user --map-root-user] python -m tests.outbound.in_namespace

Every IPv4 and IPv6 address is routed to ``lo``, one TLS server listens on all of them at port 443, a name server
answers the system's resolver, and a raw socket sees every TCP packet. The scenarios run the real client against
them. Printed is JSON: what each came to, the addresses at which a connection was accepted, and those to which a
packet was sent. Exits with 77 and a reason where the namespace cannot be set up.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ipaddress
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import aiohttp

from safelight.domain.errors import InvalidParameter
from safelight.outbound.client import GuardedClient
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import OutboundRefused
from safelight.references.fetch import NOT_FETCHED, ReferenceFetcher
from tests.outbound.servers import Authority, Server, answer, redirect
from tests.outbound.spellings import REFUSED_URLS

PUBLIC_V4, PUBLIC_V6 = "93.184.215.14", "2606:2800:21f:cb07::1"
PUBLIC = {PUBLIC_V4, PUBLIC_V6}
NAME_SERVER = "127.0.0.53"
PARAM = "images[0].url"
DENIED = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.8.9.1 168.63.129.16 169.254.169.254 172.16.0.1
192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255
:: ::1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::a00:1 64:ff9b:1::a00:1 100::1
2001::1 2001:db8::1 2002:a00:1::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1
""".split()  # noqa: SIM905
CANNOT = 77
SOL_PACKET, PACKET_STATISTICS = 263, 6  # linux/if_packet.h


class Names:
    """A name server on UDP (RFC 1035): each name has its answers in turn, the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: collections.Counter[str] = collections.Counter()

    def serve(self) -> None:
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setblocking(False)
        self._udp.bind((NAME_SERVER, 53))
        asyncio.get_running_loop().add_reader(self._udp, self._reply)

    def _reply(self) -> None:
        query, sender = self._udp.recvfrom(512)
        self._udp.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        labels, position = [], 12
        while query[position]:
            labels.append(query[position + 1 : position + 1 + query[position]].decode())
            position += 1 + query[position]
        question = query[12 : position + 5]
        kind = int.from_bytes(query[position + 1 : position + 3], "big")
        name, family = ".".join(labels).lower(), {1: 4, 28: 6}.get(kind)
        turns = self.answers.get(name, [[]])
        # The two questions of one look-up, for IPv4 and IPv6, get the same turn.
        turn = turns[min(self.asked[f"{name} {family}"], len(turns) - 1)]
        self.asked[f"{name} {family}"] += 1
        found = [ipaddress.ip_address(text) for text in turn]
        records = [ip.packed for ip in found if ip.version == family]
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(packed)) + packed for packed in records)
        missing = 0 if name in self.answers else 3
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | missing, 1, len(records), 0, 0)
        return head + question + body


class Packets:
    """Where TCP connections were attempted to: the destinations of packets that open one, seen on ``lo``."""

    def __init__(self) -> None:
        self.sent_to: set[str] = set()
        self._raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        self._raw.bind(("lo", 0))
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        self._raw.setblocking(False)
        asyncio.get_running_loop().add_reader(self._raw, self._read)

    def missed(self) -> int:
        """How many packets the kernel could not show us since the last call."""
        _, drops = struct.unpack("II", self._raw.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return int(drops)

    def take(self) -> set[str]:
        """The destinations since the last call."""
        self._read()
        taken, self.sent_to = self.sent_to, set()
        return taken

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._note(self._raw.recv(65535))

    def _note(self, packet: bytes) -> None:
        if packet[0] >> 4 == 4:
            protocol, start, destination = packet[9], (packet[0] & 15) * 4, packet[16:20]
        else:
            protocol, start, destination = packet[6], 40, packet[24:40]
        if protocol != socket.IPPROTO_TCP:
            return
        opens = packet[start + 13] & 0x12 == 0x02  # SYN without ACK
        if opens:
            self.sent_to.add(str(ipaddress.ip_address(destination)))


def set_up() -> None:
    """Make every address local and the system's resolver ask our name server."""
    for command in (
        "ip link set lo up",
        "ip route add local 0.0.0.0/0 dev lo",
        "ip -6 route add local ::/0 dev lo",
    ):
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if done.returncode:
            _cannot(f"'{command}': {done.stderr.strip()}")
    with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as file:
        file.write(f"nameserver {NAME_SERVER}\noptions timeout:2 attempts:1\n")
    done = subprocess.run(
        ["mount", "--bind", file.name, "/etc/resolv.conf"], capture_output=True, text=True, check=False
    )
    Path(file.name).unlink()
    if done.returncode:
        _cannot(f"mounting over /etc/resolv.conf: {done.stderr.strip()}")


def _cannot(reason: str) -> None:
    print(reason)
    sys.exit(CANNOT)


class Scenarios:
    """Each method is a scenario; it returns what it came to as a string, or several in a list."""

    def __init__(self, names: Names, server: Server, authority: Authority) -> None:
        self._names, self._server, self._authority = names, server, authority
        self._fresh = (f"name{n}.example.com" for n in itertools.count())

    async def public_addresses_are_reached(self) -> list[str]:
        return [await self._fetch(f"https://{self._named([ip])}/ok") for ip in sorted(PUBLIC)] + [
            await self._fetch(f"https://{PUBLIC_V4}/ok"),
            await self._fetch(f"https://[{PUBLIC_V6}]/ok"),
        ]

    async def denied_answers(self) -> list[str]:
        return [await self._fetch(f"https://{self._named([ip])}/ok") for ip in DENIED]

    async def mixed_answers(self) -> list[str]:
        mixes = [mix for ip in DENIED for mix in ([PUBLIC_V4, ip], [ip, PUBLIC_V4], [PUBLIC_V6, ip])]
        return [await self._fetch(f"https://{self._named(mix)}/ok") for mix in mixes]

    async def denied_literals(self) -> list[str]:
        hosts = [f"[{ip}]" if ":" in ip else ip for ip in DENIED]
        return [await self._fetch(f"https://{host}/ok") for host in hosts]

    async def refused_spellings(self) -> list[str]:
        return [await self._fetch(url) for url in REFUSED_URLS]

    async def redirects_to_denied_places(self) -> list[str]:
        places = [f"https://[{ip}]/ok" if ":" in ip else f"https://{ip}/ok" for ip in DENIED]
        places += [f"https://{self._named([ip])}/ok" for ip in DENIED]
        places += [url for url in REFUSED_URLS if "://" in url and url.isprintable() and url.isascii()]
        outcomes = []
        for place in places:
            self._server.scripts["/away"] = redirect(place)
            outcomes.append(await self._fetch(f"https://{PUBLIC_V4}/away"))
        return outcomes

    async def a_name_that_turns_private_between_redirects(self) -> list[str]:
        host = self._named([PUBLIC_V4], ["10.0.0.1"])
        self._server.scripts["/again"] = redirect(f"https://{host}/ok")
        return [await self._fetch(f"https://{host}/again")]

    async def rebinding_is_not_asked_again(self) -> list[str]:
        """The first answer is public; were the name asked again before connecting, the second one is not."""
        host = self._named([PUBLIC_V4], ["127.0.0.1"])
        first = await self._fetch(f"https://{host}/ok")
        asked = self._names.asked[f"{host} 4"]
        return [first, f"asked {asked} time", await self._fetch(f"https://{host}/ok")]

    async def names_that_do_not_exist(self) -> list[str]:
        return [await self._fetch("https://nowhere.example.com/ok")]

    async def proxies_of_the_environment(self) -> list[str]:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            os.environ[name] = "http://10.0.0.1:443"
        return [await self._fetch(f"https://{PUBLIC_V4}/ok")]

    async def posts(self) -> list[str]:
        """What webhooks do."""
        self._server.scripts["/away"] = redirect("https://10.0.0.1/ok", "307 Temporary Redirect")
        urls = [f"https://{self._named([ip])}/hook" for ip in DENIED]
        urls += [f"https://[{ip}]/hook" if ":" in ip else f"https://{ip}/hook" for ip in DENIED]
        outcomes = [await self._post(url) for url in urls]
        return [*outcomes, await self._post(f"https://{PUBLIC_V4}/away")]

    async def an_opened_network_is_reached(self) -> list[str]:
        policy = OutboundPolicy.parse(["10.0.0.0/8"])
        return [
            await self._fetch("https://10.0.0.1/ok", policy),
            await self._fetch(f"https://{self._named(['10.9.9.9'])}/ok", policy),
            await self._fetch("https://192.168.0.1/ok", policy),
        ]

    async def unguarded(self) -> list[str]:
        """Shows that the listeners and the raw socket would have seen a connection to a denied address."""
        outcomes = []
        for ip in ("10.0.0.1", "169.254.169.254", "fd00:ec2::254", "::1", "64:ff9b::a00:1"):
            url = f"https://[{ip}]/ok" if ":" in ip else f"https://{ip}/ok"
            async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
                outcomes.append(str(response.status))
        return outcomes

    def _named(self, *turns: list[str]) -> str:
        name = next(self._fresh)
        self._names.answers[name] = list(turns)
        return name

    async def _fetch(self, url: str, policy: OutboundPolicy | None = None) -> str:
        fetcher = ReferenceFetcher(policy, ssl_context=self._authority.client_context(), deadline_seconds=10)
        try:
            return (await fetcher.fetch(url, PARAM)).decode()
        except InvalidParameter as refused:
            return "not fetched" if refused.message == NOT_FETCHED else "refused"
        finally:
            await fetcher.close()

    async def _post(self, url: str) -> str:
        client = GuardedClient(OutboundPolicy(), ssl_context=self._authority.client_context())
        try:
            answer = await client.post(url, b"{}", headers={}, deadline_seconds=10, max_bytes=100, body_seconds=10)
            return str(answer.status)
        except OutboundRefused as refused:
            return refused.reason
        finally:
            await client.close()


async def main() -> None:
    authority, names = Authority(), Names()
    every_name = [f"name{n}.example.com" for n in range(400)]
    server = Server({"/ok": answer(b"picture")})
    context = authority.server_context(*every_name, *PUBLIC, "10.0.0.1")
    await server.listen("0.0.0.0", 443, context)
    await server.listen("::", 443, context)
    names.serve()
    packets, scenarios = Packets(), Scenarios(names, server, authority)
    report = {}
    for name in [name for name in vars(Scenarios) if not name.startswith("_")]:
        server.reached.clear()
        outcomes = await getattr(scenarios, name)()
        report[name] = {
            "outcomes": outcomes,
            "accepted": sorted({address.removeprefix("::ffff:") for address in server.reached}),
            "packets": sorted(packets.take()),
            "missed": packets.missed(),
        }
    await asyncio.sleep(0.1)  # for the servers' last connections to end
    print(json.dumps(report))


if __name__ == "__main__":
    set_up()
    asyncio.run(main())
