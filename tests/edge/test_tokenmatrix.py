"""
Tests of which credentials let a client read: each way to show one, over each transport,
in the clear, over TLS and over HTTP/2, on both edges.  Whoever is refused gets nothing
of the channel.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import cycle

from attrs import evolve, frozen

from tests.edge.asking import UPGRADE, Asked, Asker, CommandAsker, Http2Asker
from tests.edge.badtokens import KEYS, Made, badTokens, goodTokens
from tests.edge.case import EdgeTestCase
from tests.edge.connections import Site, ask
from tests.edge.publisher import publish
from tests.edge.server import CometProcess
from tests.edge.tls import authority

PAGE = "https://page.example"

HELD = "what the room holds"


@frozen
class Verdict:
    """
    How a request is answered.

    @ivar code: The code of the error; empty if the client is let in.
    """

    status: int
    code: str
    challenge: str | None


IN = Verdict(200, "", None)
NOBODY = Verdict(401, "unauthorized", "Bearer")
BAD = Verdict(401, "unauthorized", 'Bearer error="invalid_token"')
FORBIDDEN = Verdict(403, "forbidden", None)

COMMANDS = ("tcp", "socket")

PLACES = ("header", "query", "cookie")

# What is asked, and how each transport is answered.
Row = tuple[str, Asked, Callable[[str], Verdict]]


@cache
def shared(edge: str, isSecure: bool) -> tuple[CometProcess, str]:
    """
    Start the server of an edge that speaks TLS on all ports, or on none; a room, a hall
    that is open, and what nobody has a right to have something.

    @return: The server, and the epoch of its log.
    """
    made = authority()
    listen = made.endpoint if isSecure else "tcp:{port}:interface=127.0.0.1"
    options = (*KEYS.options, "--open-read", "hall", "--allow-origin", PAGE, "--edge", edge)
    server = CometProcess(*options, listen=listen, tls=made.context if isSecure else None)
    atexit.register(server.remove)
    for name in ("rooms/a", "hall", "other"):
        published = publish(server.site, name, HELD)
    return server, str(published.cursor).rpartition("-")[0]


def always(verdict: Verdict) -> Callable[[str], Verdict]:
    """
    Answer every transport alike.
    """
    return lambda transport: verdict


def byCookie(verdict: Verdict, ofSocket: Verdict | None = None) -> Callable[[str], Verdict]:
    """
    Answer as a cookie has it, which a script and a command do not show.

    @param ofSocket: How a WebSocket is answered, if otherwise.
    """

    def answer(transport: str) -> Verdict:
        if transport == "jsonp":
            return NOBODY
        return verdict if ofSocket is None or transport != "websocket" else ofSocket

    return answer


def withoutCredential() -> Iterator[Row]:
    """
    List what those ask who show none.
    """
    for name in ("rooms/a", "rooms/*", "other", "hall,rooms/a", "$presence/rooms/a", "$stats"):
        yield f"nobody, {name}", Asked(name), always(NOBODY)
    yield "nobody, open", Asked("hall"), always(IN)
    yield "nobody, the nodes' own", Asked("$control"), always(FORBIDDEN)


def withGood(key: str) -> Iterator[Row]:
    """
    List what those ask who show a good credential, where it has the right and where it
    has not.
    """
    for of, token in goodTokens().items():
        yield f"good, by {of}", Asked("rooms/a", token), always(IN)
    yield "good, a pattern", Asked("rooms/*,hall", token), always(IN)
    yield "the key", Asked("other", key), always(IN)
    for name in (
        *("other", "rooms/**", "**", "*", "rooms/a,other", "rooms/a/b"),
        *("$stats", "$events", "$presence/rooms/a", "$presence/**", "$session/x"),
    ):
        yield f"good, {name}", Asked(name, token), always(FORBIDDEN)
    for credential in (token, key):
        yield "the nodes' own", Asked("$control", credential), always(FORBIDDEN)
    none = Made({"comet": None}).text()
    yield "without rights", Asked("rooms/a", none), always(FORBIDDEN)


def inOtherPlaces(key: str) -> Iterator[Row]:
    """
    List what those ask whose credential stands elsewhere, where it counts and where it
    does not.
    """
    good = Made().text()
    yield "in the query", Asked("rooms/a", good, "query"), always(IN)
    yield "the key in the query", Asked("rooms/a", key, "query"), always(BAD)
    yield "the key in a cookie", Asked("hall", key, "cookie"), _keyInCookie
    cookie = Asked("rooms/a", good, "cookie")
    for headers, verdict, ofSocket in (
        ({}, IN, None),
        ({"Sec-Fetch-Site": "same-origin"}, IN, None),
        ({"Sec-Fetch-Site": "none"}, IN, None),
        ({"Sec-Fetch-Site": "same-site"}, NOBODY, None),
        ({"Sec-Fetch-Site": "cross-site"}, NOBODY, None),
        ({"Origin": PAGE}, IN, None),
        ({"Origin": "https://other.example"}, NOBODY, FORBIDDEN),
        ({"Origin": f"{PAGE}.other.example"}, NOBODY, FORBIDDEN),
        ({"Origin": "null"}, NOBODY, FORBIDDEN),
    ):
        asked = evolve(cookie, headers=headers)
        if "Sec-Fetch-Site" in headers:
            # A script's request says so itself.
            verdicts: Callable[[str], Verdict] = byCookie(verdict)
            crossed = headers["Sec-Fetch-Site"].endswith("site")
            yield f"cookie, {headers}", asked, _ofScript(verdicts, crossed)
        else:
            yield f"cookie, {headers}", asked, byCookie(verdict, ofSocket)


def _keyInCookie(transport: str) -> Verdict:
    # A script shows no cookie, and the hall is open.
    return IN if transport == "jsonp" else BAD


def _ofScript(verdicts: Callable[[str], Verdict], isCrossed: bool) -> Callable[[str], Verdict]:
    """
    Refuse a script of another site, whoever it shows.
    """
    return lambda transport: (
        FORBIDDEN if transport == "jsonp" and isCrossed else verdicts(transport)
    )


class TokenMatrixTests(EdgeTestCase):
    """
    The lean edge, which hands what it does not carry to Twisted's.
    """

    edge = "lean"

    def askers(self) -> Iterator[tuple[Asker, str, str]]:
        """
        Yield each way to send requests, the key of its server, and the epoch.
        """
        for isSecure in (False, True):
            server, epoch = shared(self.edge, isSecure)
            if server not in self.servers:
                self.servers.append(server)
            site = server.site
            kinds: Sequence[type[Asker]] = (Asker, CommandAsker)
            for kind in (*kinds, Http2Asker) if isSecure else kinds:
                asker = kind(site, HELD.encode())
                self.addCleanup(asker.close)
                yield asker, site.key, epoch

    def check(self, asker: Asker, transport: str, row: Row, epoch: str) -> None:
        """
        Ask, and compare.
        """
        label, asked, verdicts = row
        expected = verdicts(transport)
        heard = asker.ask(transport, asked)
        shown = f"{transport}: {label} in {asked.place}"
        if transport in COMMANDS:
            self.assertEqual(heard.code, expected.code, shown)
        else:
            status = 101 if expected is IN and transport == "websocket" else expected.status
            found = (heard.status, heard.code, heard.challenge)
            code = "" if asked.method == "HEAD" else expected.code
            self.assertEqual(found, (status, code, expected.challenge), shown)
        if expected is IN:
            self.assertIn(HELD.encode(), heard.raw, shown)
            return
        self.assertNotIn(HELD.encode(), heard.raw, shown)
        if transport not in COMMANDS:
            # Any cursor would tell how much there is.  A connection that commands come
            # over is told where the log ends, whoever it is.
            self.assertNotIn(f"{epoch}-".encode(), heard.raw, shown)
        if asked.credential is not None:
            self.assertNotIn(asked.credential.encode(), heard.raw, shown)

    def test_goodAndNone(self) -> None:
        """
        Those without a credential read what is open; those with a good one, what it
        permits.
        """
        for asker, key, epoch in self.askers():
            for row in (*withoutCredential(), *withGood(key)):
                for transport in asker.transports:
                    self.check(asker, transport, row, epoch)

    def test_places(self) -> None:
        """
        A key counts in the header and in a command alone; a cookie, only for pages that
        may send it, and never for a script.
        """
        for asker, key, epoch in self.askers():
            if isinstance(asker, CommandAsker):
                continue
            for row in inOtherPlaces(key):
                for transport in asker.transports:
                    self.check(asker, transport, row, epoch)
            if "websocket" in asker.transports:
                for credential, verdict in ((Made().text(), IN), (key, BAD)):
                    asked = Asked("rooms/a", credential, "subprotocol")
                    self.check(asker, "websocket", ("", asked, always(verdict)), epoch)

    def test_bad(self) -> None:
        """
        A bad token is refused wherever it stands, for what is open, too: it falls back
        to nobody in no way.
        """
        for asker, _, epoch in self.askers():
            places = cycle(PLACES)
            for fault, token in badTokens():
                for transport in asker.transports:
                    # A command that shows one leaves the connection what it was: nobody's.
                    names = ("rooms/a",) if transport in COMMANDS else ("rooms/a", "hall")
                    for name in names:
                        place = "header" if transport in COMMANDS else next(places)
                        if (transport, place) == ("jsonp", "cookie"):
                            place = "query"
                        asked = Asked(name, token, place)
                        self.check(asker, transport, (fault, asked, always(BAD)), epoch)

    def test_badHandshake(self) -> None:
        """
        A bad token in the handshake of a WebSocket without names is refused, too.
        """
        for asker, key, _ in self.askers():
            if "websocket" in asker.transports:
                for credential in (*(token for _, token in badTokens()), key):
                    target = f"/socket?token={credential}"
                    answer = ask(asker.site, "GET", target, UPGRADE)
                    self.assertEqual(answer.status, 401)

    def test_otherMethods(self) -> None:
        """
        A bad token publishes nothing, deletes nothing, and is not told where the log
        ends.
        """
        for asker, _, epoch in self.askers():
            if isinstance(asker, CommandAsker):
                continue
            before = self.end(asker.site)
            for fault, token in badTokens():
                for method in ("POST", "PUT", "DELETE", "HEAD"):
                    asked = Asked("rooms/a", token, method=method)
                    self.check(asker, "poll", (fault, asked, always(BAD)), epoch)
            for name in ("other", "$stats", "$control", "$presence/rooms/a"):
                asked = Asked(name, Made().text(), method="POST")
                self.check(asker, "poll", (name, asked, always(FORBIDDEN)), epoch)
            asked = Asked("rooms/a", Made().text(), "cookie", {"Origin": "https://o.example"})
            for method in ("POST", "DELETE"):
                evil = evolve(asked, method=method)
                self.check(asker, "poll", ("another page", evil, always(FORBIDDEN)), epoch)
            self.assertEqual(self.end(asker.site), before)

    def end(self, site: Site) -> str:
        """
        Return where the log ends.
        """
        key = {"Authorization": f"Bearer {site.key}"}
        return ask(site, "HEAD", "/channels/rooms/a", key).headers["etag"]


class TwistedTokenMatrixTests(TokenMatrixTests):
    """
    Twisted's edge.
    """

    edge = "twisted"
