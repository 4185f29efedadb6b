"""
Tests of the limits of one client, and of trusted proxies, on the lean edge and behind
it, in one process.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from types import FrameType
from typing import Any

from comet.access.rights import Access
from comet.http.credentials import Credential, Credentials
from comet.http.forwarded import FORWARDED, Proxies
from comet.hub.hubsettings import Settings
from comet.limits.clientlimits import ClientSettings
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from tests.lean.case import LeanTestCase, Peer, read, request

KEY = "k" * 16

# How each transport tells of C{tooMany}: by the status, or in the stream.
STREAMS = ("stream", "sse", "multipart", "iframe", "websocket", "longpoll", "jsonp")


class Names(Access):
    """
    Knows a client by its token, which is its name.
    """

    def clientOf(self, credential: Credential | None) -> Client:
        """
        Take the token for the name.
        """
        if credential is None:
            return ANONYMOUS
        return KEY_HOLDER if credential.text == KEY else Client(credential.text)

    def identify(self, credentials: Credentials) -> Client:
        """
        See L{clientOf}.
        """
        return self.clientOf(credentials.credential)


def withToken(said: bytes, name: str = "", more: str = "") -> bytes:
    """
    Add a credential, and perhaps other headers, to a request.
    """
    lines = f"Authorization: Bearer {name}\r\n{more}" if name else more
    return said.replace(b"\r\n", b"\r\n" + lines.encode("ascii"), 1)


class LimitsTestCase(LeanTestCase):
    """
    A server whose limits a test sets.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.hub.access = Names(KEY, ["open/**"])

    def limit(self, **limits: float) -> None:
        """
        Set the limits.
        """
        self.hub.clientLimits.configure(ClientSettings(**limits))  # type: ignore[arg-type]

    def status(self, said: bytes) -> tuple[int, bytes]:
        """
        Send a request on a connection of its own.

        @return: The status, and all that was answered.
        """
        peer = self.peer(said)
        answer = peer.hears(b"\r\n\r\n")
        self.reactor.settle()
        return int(answer.split()[1]), peer.take()

    @property
    def counted(self) -> int:
        """
        How many readers are counted.
        """
        return len(self.hub.clientLimits.connections)


class PublishRateTests(LimitsTestCase):
    """
    C{--publish-rate}.
    """

    def publishing(self, name: str = "", channel: str = "open/a", more: str = "") -> bytes:
        """
        Make a request to publish.
        """
        said = request(f"/channels/{channel}", method="POST", body=b"x")
        return withToken(said, name, more)

    def test_httpIsLimited(self) -> None:
        """
        So many messages pass, one more is 429 with the time after which one passes;
        nothing of it is stored.  On the lean edge, and on Twisted's.
        """
        self.limit(publishRate=4)
        # Twisted's edge answers what has this header.
        for more in ("", "Content-Encoding: identity\r\n"):
            before = self.hub.end.position
            for _ in range(4):
                self.assertEqual(self.status(self.publishing(more=more))[0], 201)
            status, answer = self.status(self.publishing(more=more))
            self.assertEqual(status, 429)
            self.assertIn(b"\r\nRetry-After: 1\r\n", answer)
            self.assertIn(b'"code":"tooMany"', answer)
            self.assertIn(b"--publish-rate", answer)
            self.assertEqual(self.hub.end.position, before + 4)
            self.reactor.advance(0.26)
            self.assertEqual(self.status(self.publishing(more=more))[0], 201)
            self.assertEqual(self.status(self.publishing(more=more))[0], 429)
            self.reactor.advance(5)

    def test_countsForNameOrAddress(self) -> None:
        """
        A client with a name has a rate of its own on all its connections; nobody's
        is that of the address; a holder of the key has none.
        """
        self.limit(publishRate=1)
        for name in ("", "ada", "bob"):
            self.assertEqual(self.status(self.publishing(name))[0], 201)
            self.assertEqual(self.status(self.publishing(name))[0], 429)
        for _ in range(5):
            self.assertEqual(self.status(self.publishing(KEY, "shut"))[0], 201)

    def test_eachMessageCounts(self) -> None:
        """
        Each line of a batch counts, and each channel of a publication.  What is more
        than the burst passes if nothing was published before, and is waited for.
        """
        self.limit(publishRate=10)
        self.assertEqual(self.status(self.publishing("ada", "open/a,open/b,open/c"))[0], 201)
        lines = b"".join(b'{"channel":"open/a","data":%d}\n' % n for n in range(8))
        kind = "Content-Type: application/x-ndjson\r\n"
        batch = withToken(request("/publish", kind, "POST", lines), "ada")
        self.assertEqual(self.status(batch)[0], 429)
        self.assertEqual(self.hub.end.position, 3)
        self.reactor.advance(0.11)
        self.assertEqual(self.status(batch)[0], 201)
        large = withToken(request("/publish", kind, "POST", lines * 5), "bob")
        self.assertEqual(self.status(large)[0], 201)
        self.reactor.advance(3)
        self.assertEqual(self.status(self.publishing("bob"))[0], 429)
        self.reactor.advance(0.2)
        self.assertEqual(self.status(self.publishing("bob"))[0], 201)

    def test_bodyThatComesLater(self) -> None:
        """
        A client that may not publish now is refused before its body has come; and one
        whose body came slowly, when it may not any longer.
        """
        self.limit(publishRate=1)
        whole = self.publishing("ada").replace(b"Content-Length: 1\r\n", b"Content-Length: 9\r\n")
        slow = self.peer(whole)
        self.reactor.settle()
        self.assertEqual(self.status(self.publishing("ada"))[0], 201)
        self.peer(whole).hears(b"HTTP/1.1 429")
        slow.send(b"y" * 8)
        slow.hears(b"HTTP/1.1 429")
        self.assertEqual(self.hub.end.position, 1)

    def test_pipelined(self) -> None:
        """
        Publications that are sent together are answered in their order, those that
        are too many with the error.
        """
        self.limit(publishRate=3)
        peer = self.peer(self.publishing("ada") * 5)
        said = peer.hears(b"HTTP/1.1 ", 5)
        self.reactor.settle()
        statuses = [int(part.split()[0]) for part in said.split(b"HTTP/1.1 ")[1:]]
        self.assertEqual(statuses, [201, 201, 201, 429, 429])

    def test_commands(self) -> None:
        """
        Publications by command count for the same, and are answered with the error;
        the connection stays.
        """
        self.limit(publishRate=2)
        for isTCP in (True, False):
            self.reactor.advance(5)
            lines = [json.dumps({"id": n, "publish": "open/a", "data": n}) for n in range(4)]
            if isTCP:
                peer = self.peer("\n".join([*lines, ""]).encode(), isTCP=True)
            else:
                peer = self.reader("websocket")
                peer.send(b"".join(map(frame, lines)))
            said = peer.hears(b'"tooMany"', 2)
            self.assertEqual(said.count(b'"ok":{"cursor"'), 2)
            peer.send(b'{"ping":1}\n' if isTCP else frame('{"ping":1}'))
            peer.hears(b'"pong":1')


def frame(text: str) -> bytes:
    """
    Make a masked frame of a WebSocket.
    """
    data = text.encode()
    return bytes((0x81, 0x80 | len(data))) + bytes(4) + data


class CommandRateTests(LimitsTestCase):
    """
    C{--command-rate}.
    """

    def test_isLimited(self) -> None:
        """
        Ten times as many as in a second pass at once.  Then each is answered with the
        error, those that are no command, too, and the connection stays.
        """
        self.limit(commandRate=1)
        for isTCP in (True, False):
            commands = [f'{{"id":{n},"ping":{n}}}' for n in range(9)]
            refused = [*commands, "nonsense", '{"id":10,"ping":0}', "nonsense"]
            publish = '{"publish":"open/a","data":1}'
            if isTCP:
                peer = self.peer("\n".join([*refused, publish, ""]).encode(), isTCP=True)
            else:
                peer = self.reader("websocket")
                peer.send(b"".join(map(frame, [*refused, publish])))
            said = peer.hears(b'"tooMany"', 2)
            self.assertEqual((said.count(b'"pong"'), said.count(b'"badMessage"')), (9, 1))
            self.assertIn(b'{"id":10,"error":{"code":"tooMany"', said)
            peer.hears(b'"ok":{"cursor"')
            self.reactor.advance(1.01)
            say = '{"id":11,"ping":11}'
            peer.send(f"{say}\n".encode() if isTCP else frame(say))
            peer.hears(b'"pong":11')

    def test_keyHoldersAreExempt(self) -> None:
        """
        Who shows the key on a connection may send any number; another connection of
        the same address has its own.
        """
        self.limit(commandRate=1)
        lines = [f'{{"token":"{KEY}"}}', *['{"ping":1}'] * 50, ""]
        self.peer("\n".join(lines).encode(), isTCP=True).hears(b"pong", 50)
        other = ['{"ping":1}'] * 10
        self.peer("\n".join([*other, ""]).encode(), isTCP=True).hears(b"pong", 10)

    def test_canBeOff(self) -> None:
        """
        Without a limit nothing is counted.
        """
        self.limit(commandRate=0)
        lines = b'{"ping":1}\n' * 2000
        self.peer(lines, isTCP=True).hears(b"pong", 2000)


class ConnectionTests(LimitsTestCase):
    """
    C{--connections-per-client} and C{--connections-per-address}.
    """

    def reading(self, transport: str, name: str = "", more: str = "") -> bytes:
        """
        Make a request to read.
        """
        return withToken(read(transport), name, more)

    def test_eachTransport(self) -> None:
        """
        A reader too many is told so in the form of its transport; when another one
        has left, one may come.  Polls that are not held do not count.
        """
        for limits in ({"connectionsPerAddress": 2}, {"connectionsPerClient": 2}):
            self.limit(**limits)
            for transport in STREAMS:
                peers = []
                for number in range(1, 3):
                    peers.append(self.peer(self.reading(transport, "ada")))
                    self.untilReaders(number)
                refused = self.peer(self.reading(transport, "ada"))
                said = refused.hears(b"tooMany")
                self.assertIn(b"200 OK" if transport == "sse" else b" 429 ", said, transport)
                self.assertEqual(self.status(self.reading("poll", "ada"))[0], 200)
                peers[0].cut()
                self.untilReaders(1)
                peers[0] = self.peer(self.reading(transport, "ada"))
                self.untilReaders(2)
                for peer in peers:
                    peer.cut()
                self.untilReaders(0)
                self.assertEqual(self.counted, 0)

    def test_socketsCount(self) -> None:
        """
        Sockets without names count, on raw TCP and at C{/socket}.
        """
        self.limit(connectionsPerAddress=2)
        first = self.peer(b'{"ping":1}\n', isTCP=True)
        first.hears(b"pong")
        upgrade = read("websocket").replace(b"/channels/c?transport=websocket", b"/socket")
        self.peer(upgrade).hears(b"101")
        refused = self.peer(b'{"ping":1}\n', isTCP=True)
        self.assertIn(b'"code":"tooMany"', refused.ends())
        self.peer(upgrade).hears(b" 429 ")
        first.cut()
        self.untilReaders(1)
        self.peer(upgrade).hears(b"101")

    def test_othersMay(self) -> None:
        """
        Another client may read where one has all that it may have; nobody's readers
        count for the address alone, and a key holder's not at all.
        """
        self.limit(connectionsPerClient=1)
        for number, name in enumerate(("ada", "bob", "", "", KEY, KEY), 1):
            self.peer(self.reading("stream", name))
            self.untilReaders(number)
        self.assertEqual(self.status(self.reading("stream", "ada"))[0], 429)
        self.limit(connectionsPerAddress=4)
        self.peer(self.reading("stream", KEY))
        self.untilReaders(7)
        self.assertEqual(self.status(self.reading("stream", "cyd"))[0], 429)

    def test_tokenByCommand(self) -> None:
        """
        A connection that takes another client counts for that one; where it has too
        many already, the command is refused, and nothing changes.
        """
        self.limit(connectionsPerClient=1)
        peer = self.peer(b'{"token":"ada"}\n', isTCP=True)
        peer.hears(b'"expires"')
        other = self.peer(b'{"token":"ada"}\n', isTCP=True)
        other.hears(b'"tooMany"')
        other.send(b'{"token":"bob"}\n')
        other.hears(b'"expires"')
        self.assertEqual(self.status(self.reading("stream", "bob"))[0], 429)
        other.send(b'{"token":"%b"}\n' % KEY.encode())
        other.hears(b'"expires"', 2)
        self.assertEqual(self.counted, 1)
        peer.cut()
        self.untilReaders(1)
        self.assertEqual(self.counted, 0)

    def test_nothingLeaks(self) -> None:
        """
        However readers end, each is counted no longer: cut, half-closed, answered,
        unsubscribed, closed by the server, or timed out.
        """
        self.limit(connectionsPerAddress=1000, connectionsPerClient=900)
        chance = random.Random(7)
        peers: list[Peer] = []
        kinds = (*STREAMS, "tcp", "poll")
        for step in range(240):
            deed = chance.randrange(8)
            if deed < 4 or not peers:
                kind = chance.choice(kinds)
                name = chance.choice(["", "ada", KEY])
                if kind == "tcp":
                    peers.append(self.peer(b'{"subscribe":["c"]}\n', isTCP=True))
                else:
                    more = chance.choice(["", "X: \u00fc\r\n".encode().decode("latin-1")])
                    said = read(kind)
                    lines = f"Authorization: Bearer {name}\r\n" if name else ""
                    head = (lines + more).encode("latin-1")
                    peers.append(self.peer(said.replace(b"\r\n", b"\r\n" + head, 1)))
            elif deed == 4:
                self.publish(step)
            elif deed == 5:
                peers.pop(chance.randrange(len(peers))).cut()
            elif deed == 6:
                peer = peers.pop(chance.randrange(len(peers)))
                peer.take()
                if not peer.isOver:
                    try:
                        peer.halfClose()
                    except OSError:
                        pass
            else:
                self.reactor.advance(chance.choice([0.1, 6, 26]))
            self.reactor.turn()
        self.reactor.settle()
        self.assertTrue(20 < self.counted <= len(self.hub.fanout.readers), self.counted)
        for peer in peers:
            peer.cut()
        self.reactor.settle()
        self.reactor.advance(400)
        self.reactor.settle()
        self.hub.drain(0)
        self.untilReaders(0)
        connections: Any = self.hub.clientLimits.connections
        self.assertEqual((len(connections), connections._byName), (0, {}))
        self.assertEqual(connections._byAddress, {})


class OffTests(LimitsTestCase):
    """
    Where the options are off.
    """

    settings = Settings(clients=ClientSettings(commandRate=0))

    def test_costsNoCall(self) -> None:
        """
        Nothing of L{comet.limits}, nor of L{comet.http.forwarded}, is called by polls,
        publications and streams, nor is an address asked for.
        """
        said = read("poll") + request("/channels/open/a", method="POST", body=b"x")
        peer = self.peer(said)
        peer.hears(b"201 ")
        calls: Counter[str] = Counter()

        def count(call: FrameType, event: str, argument: object) -> None:
            module = call.f_globals.get("__name__", "")
            isOurs = module.startswith(("comet.limits", "comet.http.forwarded"))
            if event == "call" and (isOurs or call.f_code.co_name in ("getPeer", "address")):
                calls[call.f_code.co_name] += 1

        sys.setprofile(count)
        try:
            peer.send(said)
            peer.hears(b"201 ", 2)
            for transport in ("stream", "longpoll", "websocket", "tcp"):
                self.reader(transport)
            self.publish(1)
        finally:
            sys.setprofile(None)
        self.assertEqual(calls, {})


class ProxyTests(LimitsTestCase):
    """
    Trusted proxies.
    """

    def setUp(self) -> None:
        """
        Trust the machine itself.
        """
        super().setUp()
        self.hub.proxies = Proxies(["127.0.0.0/8"])
        self.shown: list[tuple[str, bool]] = []
        case = self

        class Shown(Access):
            def identify(self, credentials: Credentials) -> Client:
                case.shown.append((credentials.address, credentials.isSecure))
                return ANONYMOUS

        self.hub.access = Shown(KEY, ["open/**"])

    # Each of these is answered by one edge and by the other.
    edges = ("", "TE: trailers\r\n")

    def ask(self, headers: str, transport: str = "poll") -> tuple[str, bool]:
        """
        Send a request through a proxy.

        @return: What the access object was shown.
        """
        self.shown.clear()
        said = withToken(read(transport), more=headers)
        self.peer(said).hears(b"101" if transport == "websocket" else b"200 OK")
        return self.shown[0]

    def test_address(self) -> None:
        """
        The rightmost address that is not trusted is the client's, and the scheme
        that the proxy tells is its; on both edges.
        """
        for edge in self.edges:
            for headers, shown in (
                ("", ("127.0.0.1", False)),
                ("X-Forwarded-For: 192.0.2.1\r\n", ("192.0.2.1", False)),
                (
                    "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\nX-Forwarded-Proto: https\r\n",
                    ("192.0.2.1", True),
                ),
                ("X-Forwarded-For: 192.0.2.1, 127.0.0.2\r\n", ("192.0.2.1", False)),
                ("X-Forwarded-For: 192.0.2.1, nonsense\r\n", ("127.0.0.1", False)),
                ("Forwarded: for=192.0.2.1;proto=https\r\n", ("127.0.0.1", False)),
                ("X-Forwarded-Host: evil.example\r\n", ("127.0.0.1", False)),
            ):
                for transport in ("poll", "sse", "websocket"):
                    self.assertEqual(self.ask(headers + edge, transport), shown, headers)

    def test_forwarded(self) -> None:
        """
        With C{Forwarded}, the other headers tell nothing.
        """
        self.hub.proxies = Proxies(["127.0.0.1"], FORWARDED)
        both = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
        for edge in self.edges:
            self.assertEqual(self.ask(both + edge), ("127.0.0.1", False))
            line = 'Forwarded: for="[2001:db8::1]:80";proto=https\r\n'
            self.assertEqual(self.ask(both + line + edge), ("2001:db8::1", True))

    def test_othersAreNotBelieved(self) -> None:
        """
        What is sent from elsewhere is not believed, also where the same bytes were
        believed before, and no longer once the proxies are changed.
        """
        headers = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"
        for edge in self.edges:
            for proxies, shown in (
                (Proxies(["127.0.0.1"]), ("192.0.2.1", True)),
                (Proxies(["10.0.0.0/8", "unix"]), ("127.0.0.1", False)),
                (None, ("127.0.0.1", False)),
                (Proxies(["127.0.0.1"]), ("192.0.2.1", True)),
            ):
                self.hub.proxies = proxies
                self.assertEqual(self.ask(headers + edge), shown)

    def test_origin(self) -> None:
        """
        The server's own origin has the scheme that the proxy tells.
        """
        for edge in self.edges:
            for scheme, origin, isOwn in (
                ("https", "https://localhost", True),
                ("http", "https://localhost", False),
                ("https", "http://localhost", False),
                ("http", "http://localhost", True),
            ):
                headers = f"X-Forwarded-Proto: {scheme}\r\nOrigin: {origin}\r\n{edge}"
                said = withToken(request("/channels/open/a", method="POST", body=b"x"), "", headers)
                status, _ = self.status(said)
                self.assertEqual(status, 201 if isOwn else 403, (scheme, origin, edge))

    def test_limitsCountForClients(self) -> None:
        """
        Limits count for the clients behind the proxy, those of one network of IPv6
        together, on one kept connection, too.
        """
        self.hub.access = Names(KEY, ["open/**"])
        self.limit(publishRate=1, connectionsPerAddress=1)
        publish = request("/channels/open/a", method="POST", body=b"x")
        for edge in self.edges:
            self.reactor.advance(10)
            peer = self.peer()
            for number, (address, status) in enumerate(
                (
                    ("192.0.2.1", b"201"),
                    ("192.0.2.2", b"201"),
                    ("192.0.2.1", b"429"),
                    ("2001:db8::1", b"201"),
                    ("2001:db8::2", b"429"),
                    ("2001:db8:1::2", b"201"),
                )
            ):
                peer.send(withToken(publish, "", f"X-Forwarded-For: {address}\r\n{edge}"))
                answers = peer.hears(b"HTTP/1.1 ", number + 1)
                self.assertEqual(answers.split(b"HTTP/1.1 ")[-1][:3], status, address)
            said = withToken(read("stream"), "", f"X-Forwarded-For: 192.0.2.1\r\n{edge}")
            kept = self.peer(said)
            kept.hears(b"200 OK")
            self.peer(said).hears(b" 429 ")
            other = self.peer(withToken(read("websocket"), "", "X-Forwarded-For: 192.0.2.7\r\n"))
            other.hears(b"101")
            other.send(frame('{"publish":"open/a","data":1}'))
            other.hears(b'"ok":{"cursor"')
            other.send(frame('{"publish":"open/a","data":1}'))
            other.hears(b'"tooMany"')
            kept.cut()
            other.cut()
            self.untilReaders(0)
