"""
Tests of start positions: now, a cursor, the oldest message, the last few
messages; of names that are subscribed later; of the form of messages; and of
heartbeats.
"""

from __future__ import annotations

from typing import Any

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client
from tests.edge.connections import TcpConnection, Violation, ask
from tests.edge.envelopes import BareCursor, Cursor, Message, eventOf, readJson, readPollBody
from tests.edge.publisher import Published, publish
from tests.edge.speakers import CLIENTS, SPEAKERS, CommandFailed, Reading, Speaker

_SOCKET = (
    b"GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def nextCursor(client: Client) -> Cursor:
    """
    Wait for an event without a message, and return its cursor.
    """
    event = client.next()
    if not isinstance(event, BareCursor):
        raise Violation(f"{client.name} begins with {event}")
    return event.cursor


class StartTests(EdgeTestCase):
    """
    The start positions, on each transport in each way to use it.
    """

    def test_now(self) -> None:
        """
        Without a start position, and with C{now}, a reader begins after the
        newest message, and hears the messages published from then on.
        """
        for number, client in enumerate(self.each()):
            name = self.channel(f"c{number}")
            end = self.publish(name, 2)[-1].cursor
            since = "now" if number % 2 else None
            if client.name in ("longpoll", "jsonp"):
                client.open([name], since, wait="0")
            else:
                client.open([name], since)
            self.assertEqual(nextCursor(client), end, client.name)
            fresh = self.publish(name, 3, 3)
            self.assertHeard(client.messages(3), fresh)

    def test_cursor(self) -> None:
        """
        With a cursor, a reader hears first the held messages after it, then the
        live ones.
        """
        for client in self.each():
            name = self.channel("c", of=client.label)
            held = self.publish(name, 5)
            client.open([name], str(held[1].cursor))
            self.assertHeard(client.messages(3), held[2:])
            fresh = self.publish(name, 2, 6)
            self.assertHeard(client.messages(2), fresh)

    def test_severalNames(self) -> None:
        """
        Messages of several channels come in the order of their positions, and
        once each, also where two of the names match a message.
        """
        for client in self.each():
            a, b = (self.channel(end, of=client.label) for end in "ab")
            before = self.publish(a, 1)[0]
            held = [self.publish((a, b)[n % 3 == 0], 1, n)[0] for n in range(8)]
            client.open([a, f"{a[:-1]}*"], str(before.cursor))
            self.assertHeard(client.messages(8), held)
            fresh = [self.publish((a, b)[n % 2], 1, n)[0] for n in range(4)]
            self.assertHeard(client.messages(4), fresh)

    def test_earliest(self) -> None:
        """
        With C{earliest}, a reader begins with the oldest held message, without
        a gap.
        """
        for client in self.each():
            a, b = (self.channel(end, of=client.label) for end in "ab")
            held = self.publish(a, 2) + self.publish(b, 2) + self.publish(a, 1)
            client.open([a, b], "earliest")
            if client.endless:
                self.assertLess(nextCursor(client), held[0].cursor)
            self.assertHeard(client.messages(5), held)

    def test_last(self) -> None:
        """
        With C{-N}, a reader of one name begins with the last N messages, or
        with all if fewer are held.
        """
        for client in self.each():
            name = self.channel("c", of=client.label)
            held = self.publish(name, 5)
            client.open([name], "-2")
            if client.endless:
                self.assertEqual(nextCursor(client).epoch, held[0].cursor.epoch)
            self.assertHeard(client.messages(2), held[3:])
            client.cut()
            client.open([name], "-50")
            self.assertHeard(client.messages(5), held)

    def test_lastOfSeveral(self) -> None:
        """
        With C{-N} and several names, a reader gets the last N messages of each,
        in order.  It begins before the oldest of them, so messages between them
        may come, too.
        """
        for client in self.each():
            a, b = (self.channel(end, of=client.label) for end in "ab")
            held = self.publish(a, 3) + self.publish(b, 3)
            client.open([a, b], "-1")
            heard: list[Message] = []
            while not heard or heard[-1].cursor != held[5].cursor:
                heard += client.messages(1)
            cursors = [one.cursor for one in heard]
            self.assertEqual(cursors[0], held[2].cursor)
            self.assertLessEqual(set(cursors), {one.cursor for one in held[2:]})
            self.assertEqual([one for one in heard if one.replay], [])

    def test_startOfOneName(self) -> None:
        """
        C{since.<name>} is the start position of that name.  Its messages before
        the start position of the other names are marked as a replay, the end of
        the replay is told, and no message comes twice.
        """
        for client in self.each():
            a, b = (self.channel(end, of=client.label) for end in "ab")
            held = [self.publish((a, b)[n % 2], 1, n)[0] for n in range(10)]
            # a begins after n = 6, b after n = 1.
            since, byName = str(held[6].cursor), {b: str(held[1].cursor)}
            if client.name == "sse":
                client.open([a, b], since, byName, envelope="1")
            else:
                client.open([a, b], since, byName)
            heard = client.messages(5)
            fresh = self.publish(b, 1, 10)
            heard += client.messages(1)
            replayed = [one for one in heard if one.replay]
            self.assertHeard(replayed, [held[3], held[5]])
            self.assertEqual(heard[:2], replayed)
            self.assertHeard(heard[2:], [*held[7:], *fresh])
            if client.name == "sse":
                self.assertEqual(client.cursor, str(fresh[0].cursor))

    def test_endOfReplay(self) -> None:
        """
        After the last replayed envelope, an envelope with a cursor only says
        that all names have caught up.
        """
        for kind in ("stream", "multipart", "iframe", "websocket", "tcp"):
            a, b = (self.channel(end, of=kind) for end in "ab")
            held = self.publish(b, 2) + self.publish(a, 1)
            client = self.client(kind)
            client.open([a, b], str(held[2].cursor), {b: str(held[0].cursor)})
            self.assertEqual(nextCursor(client), held[2].cursor)
            self.assertTrue(client.messages(1)[0].replay)
            self.assertEqual(nextCursor(client), held[2].cursor)


class LateTests(EdgeTestCase):
    """
    Names that are subscribed and unsubscribed on an open connection.
    """

    def speaker(self, kind: str) -> Speaker:
        """
        Make a client that gives commands.
        """
        speaker = SPEAKERS[kind](self.site)
        self.addCleanup(speaker.close)
        return speaker

    def late(self, speaker: Speaker, held: list[Published], a: str, b: str) -> None:
        """
        Read one name, then subscribe another from an older cursor, and check
        the replay and the live messages.
        """
        speaker.command(subscribe=[a])
        nextCursor(speaker)
        fresh = self.publish(a, 1, 100)
        self.assertHeard(speaker.messages(1), fresh)
        ok = speaker.command(subscribe=[b], since=str(held[0].cursor))
        self.assertEqual(ok, {"cursor": str(fresh[0].cursor)})
        self.assertEqual(nextCursor(speaker), fresh[0].cursor)
        heard = speaker.messages(2)
        self.assertHeard(heard, held[1:])
        self.assertTrue(all(one.replay for one in heard))
        self.assertEqual(nextCursor(speaker), fresh[0].cursor)
        both = [*self.publish(b, 1, 200), *self.publish(a, 1, 300)]
        live = speaker.messages(2)
        self.assertHeard(live, both)
        self.assertFalse(any(one.replay for one in live))

    def test_replay(self) -> None:
        """
        The older messages of a late name are replayed; then its live messages
        come in order with those of the other names.
        """
        for kind in SPEAKERS:
            a, b = (self.channel(end, of=kind) for end in "ab")
            speaker = self.speaker(kind)
            speaker.open([])
            self.late(speaker, self.publish(b, 3), a, b)

    def test_notAgain(self) -> None:
        """
        A late pattern does not bring messages that another name has delivered.
        To subscribe a name twice is answered with C{ok}, and delivers no message
        again.
        """
        for kind in SPEAKERS:
            a, b = (self.channel(end, of=kind) for end in "ab")
            ofA, ofB = self.publish(a, 2), self.publish(b, 2)
            speaker = self.speaker(kind)
            speaker.open([])
            speaker.command(subscribe=[a], since="earliest")
            self.assertHeard(speaker.messages(2), ofA)
            speaker.command(subscribe=[f"{a[:-1]}*"], since="earliest")
            self.assertHeard(speaker.messages(2), ofB)
            self.assertIn("cursor", speaker.command(subscribe=[a], since="earliest"))
            self.assertEqual(Reading.rest(speaker), [])
            fresh = self.publish(a, 1, 9)
            self.assertHeard(speaker.messages(1), fresh)

    def test_sinceAsObject(self) -> None:
        """
        C{since} of a command may be an object of start positions by name.
        """
        for kind in SPEAKERS:
            a, b = (self.channel(end, of=kind) for end in "ab")
            held = [self.publish((a, b)[n % 2], 1, n)[0] for n in range(6)]
            speaker = self.speaker(kind)
            speaker.open([])
            since = {a: str(held[4].cursor), b: "earliest"}
            speaker.command(subscribe=[a, b], since=since)
            heard = speaker.messages(3)
            self.assertHeard(heard, [held[1], held[3], held[5]])
            self.assertEqual([one.replay for one in heard], [True, True, False])

    def test_unsubscribe(self) -> None:
        """
        Exactly the given names are unsubscribed; channels that a remaining
        pattern matches go on.
        """
        for kind in SPEAKERS:
            a, b = (self.channel(end, of=kind) for end in "ab")
            speaker = self.speaker(kind)
            speaker.open([])
            speaker.command(subscribe=[a, b])
            self.assertEqual(speaker.command(unsubscribe=[a]), {})
            self.publish(a, 1)
            fresh = self.publish(b, 1)
            self.assertHeard(speaker.messages(1), fresh)
            speaker.command(subscribe=[f"{a[:-1]}*"])
            self.assertEqual(speaker.command(unsubscribe=[b]), {})
            fresh = self.publish(b, 1, 2)
            self.assertHeard(speaker.messages(1), fresh)

    def test_allOrNone(self) -> None:
        """
        If one of the names is refused, none is subscribed.
        """
        for kind in SPEAKERS:
            a = self.channel("a", of=kind)
            speaker = self.speaker(kind)
            speaker.open([])
            error = self.assertRaises(CommandFailed, speaker.command, subscribe=[a, "x//y"])
            self.assertEqual(error.code, "badChannel")
            self.publish(a, 1)
            self.assertTrue(speaker.isOpen())
            self.assertEqual(Reading.rest(speaker), [])


class FormTests(EdgeTestCase):
    """
    The form of a message: time, event, data, and its limits.
    """

    def test_time(self) -> None:
        """
        A reader that asks for C{time} gets the time of each message.
        """
        name = self.channel("c")
        publish(self.site, name, 1)
        for kind in CLIENTS.keys() - {"sse", "tcp"}:
            client = self.client(kind)
            client.open([name], "earliest", time="1")
            heard = client.messages(1)[0].time
            self.assertGreater(heard or 0, 1.7e9)

    def test_event(self) -> None:
        """
        A reader gets the event name of a message; an C{sse} reader gets it as
        the type of the event.
        """
        name = self.channel("c")
        publish(self.site, name, "x", {"Comet-Event": "greeting"})
        for kind in CLIENTS:
            client = self.client(kind)
            client.open([name], "earliest")
            self.assertEqual(client.messages(1)[0].event, "greeting", kind)

    def test_data(self) -> None:
        """
        Every JSON value arrives unchanged on every transport.
        """
        name = self.channel("c")
        values: list[Any] = [
            None,
            True,
            0,
            -1.5,
            2**64 - 1,
            -(2**63),
            "",
            "a\nb",
            {"<": ["\u2028\u2029"]},
            "</script><!-- --> ]]>",
            "\n--_comet-next-part\n",
            [],
        ]
        for value in values:
            publish(self.site, name, value)
        for kind in CLIENTS:
            client = self.client(kind)
            client.open([name], "earliest")
            self.assertEqual([one.data for one in client.messages(len(values))], values, kind)

    def test_bytes(self) -> None:
        """
        Bytes arrive as base64, marked by C{encoding}.
        """
        name = self.channel("c")
        headers = {"Authorization": f"Bearer {self.site.key}", "Content-Type": "image/png"}
        answer = ask(self.site, "POST", f"/channels/{name}", headers, b"\0\xff<")
        self.assertEqual(answer.status, 201)
        for kind in CLIENTS.keys() - {"sse"}:
            client = self.client(kind)
            client.open([name], "earliest")
            (message,) = client.messages(1)
            self.assertEqual((message.encoding, message.data), ("base64", "AP88"))

    def test_limit(self) -> None:
        """
        C{limit} cuts a poll body, which says that there is more; the next poll
        goes on from there.
        """
        name = self.channel("c")
        held = self.publish(name, 5)
        path = f"/channels/{name}?transport=poll&limit=2&since="
        since, heard = "earliest", []
        for expected in (True, True, False):
            body = readPollBody(ask(self.site, "GET", path + since).body)
            self.assertEqual(body.more, expected)
            heard += [event for event in body.events if isinstance(event, Message)]
            since = str(body.cursor)
        self.assertHeard(heard, held)

    def test_http10(self) -> None:
        """
        An endless response to an HTTP/1.0 client is not chunked, and messages
        come at once.
        """
        name = self.channel("c")
        tcp = TcpConnection(self.site.port)
        self.addCleanup(tcp.close)
        target = f"/channels/{name}?transport=stream"
        tcp.send(f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        buffer = tcp.receiveUntil(b"}\n")
        head, _, body = buffer.partition(b"\r\n\r\n")
        self.assertNotIn(b"transfer-encoding", head.lower())
        self.assertIsInstance(eventOf(readJson(body[:-1])), BareCursor)
        self.publish(name, 1)
        line = tcp.receive(5)
        self.assertTrue(line.endswith(b'"data":{"n":1}}\n'), line)


class HeartbeatTests(EdgeTestCase):
    """
    Heartbeats.
    """

    options = ("--heartbeat", "1")

    def test_heartbeat(self) -> None:
        """
        After a second of silence each reader of an endless transport gets the
        cursor of the log's end, also if the last messages were of other
        channels.
        """
        clients = [client for client in self.each() if client.endless]
        for client in clients:
            client.open([self.channel("c")])
            nextCursor(client)
        end = self.publish(self.channel("other"), 1)[0].cursor
        for client in clients:
            cursor = nextCursor(client)
            if cursor < end:
                cursor = nextCursor(client)
            self.assertEqual(cursor, end, client.name)

    def test_heartbeatWithoutNames(self) -> None:
        """
        C{/socket} and raw TCP are not silent for longer than that, though they read
        no channel: on raw TCP from the first line on.
        """
        for edge in ("lean", "twisted"):
            server = self.startServer("--heartbeat", "0.5", "--edge", edge)
            plain = TcpConnection(server.site.tcpPort)
            self.addCleanup(plain.close)
            plain.send(b'{"ping":1}\n')
            bare = TcpConnection(server.site.port)
            self.addCleanup(bare.close)
            bare.send(_SOCKET)
            for connection in (plain, bare):
                connection.receiveUntil(b'{"cursor":"', 2)
