"""
Tests of wrong commands, which leave the connection open, and of broken frames and
lines, which do not.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import time

from tests.edge.case import EdgeTestCase
from tests.edge.connections import Ended, HttpConnection, TcpConnection, Violation, ask
from tests.edge.speakers import SPEAKERS, CommandFailed, Speaker, WebSocketClient

NOT_OBJECTS = (
    "not json",
    "",
    " ",
    "[]",
    "5",
    '"x"',
    "null",
    "[{}]",
    "{",
    "{'id':1}",
    '{"id":1} {"id":2}',
    '{"ping":NaN}',
    '{"ping":1e400}',
    '{"ping":Infinity}',
    '{"ping":"\\ud800"}',
    '{"ping":' + "[" * 70 + "]" * 70 + "}",
    '{"ping":' + "9" * 5000 + "}",
    "[" * 50000,
)


class CommandErrorTests(EdgeTestCase):
    """
    Wrong commands, over WebSocket and raw TCP.
    """

    def speaker(self, kind: str, variant: int = 0) -> Speaker:
        """
        Make a client that has given a command: the first line of raw TCP has rules of
        its own.
        """
        speaker = SPEAKERS[kind](self.site, variant=variant)
        self.addCleanup(speaker.close)
        speaker.open([])
        speaker.command(ping=0)
        return speaker

    def bad(self) -> list[tuple[str, str]]:
        """
        List wrong commands, each with the codes that it may be answered with.
        """
        name = json.dumps(self.channel("c"))
        many = json.dumps([f"c{number}" for number in range(101)])
        return [
            ("{}", "badRequest"),
            ('{"id":1}', "badRequest"),
            ('{"id":1,"dance":"tango"}', "badRequest"),
            ('{"id":{},"ping":1}', "badRequest badMessage"),
            ('{"id":[1],"ping":1}', "badRequest badMessage"),
            ('{"id":1.5,"ping":1}', "badRequest badMessage"),
            ('{"id":1,"subscribe":"news"}', "badRequest"),
            ('{"id":1,"subscribe":[1]}', "badRequest badChannel"),
            ('{"id":1,"subscribe":{}}', "badRequest"),
            ('{"id":1,"subscribe":["a//b"]}', "badChannel"),
            ('{"id":1,"subscribe":["fine",""]}', "badChannel"),
            ('{"id":1,"subscribe":["a,b"]}', "badChannel"),
            ('{"id":1,"subscribe":["**/a"]}', "badChannel"),
            (f'{{"id":1,"subscribe":{many}}}', "badRequest"),
            ('{"id":1,"subscribe":["a"],"since":"rubbish"}', "badCursor"),
            ('{"id":1,"subscribe":["a"],"since":"-0"}', "badCursor"),
            ('{"id":1,"subscribe":["a"],"since":5}', "badCursor badRequest"),
            ('{"id":1,"subscribe":["a"],"since":{"a":"rubbish"}}', "badCursor"),
            ('{"id":1,"unsubscribe":"a"}', "badRequest"),
            ('{"id":1,"unsubscribe":[5]}', "badRequest badChannel"),
            ('{"id":1,"publish":5,"data":1}', "badRequest badChannel"),
            ('{"id":1,"publish":"a//b","data":1}', "badChannel"),
            ('{"id":1,"publish":"open/*","data":1}', "badChannel"),
            ('{"id":1,"publish":"closed","data":1}', "unauthorized forbidden"),
            ('{"id":1,"publish":"$stats","data":1}', "forbidden"),
            (f'{{"id":1,"publish":{name}}}', "badRequest badMessage"),
            (f'{{"id":1,"publish":{name},"data":1,"event":"open"}}', "badRequest badMessage"),
            (f'{{"id":1,"publish":{name},"data":1,"event":7}}', "badRequest badMessage"),
            (f'{{"id":1,"publish":{name},"data":1,"encoding":"rot13"}}', "badRequest badMessage"),
            (
                f'{{"id":1,"publish":{name},"data":"!","encoding":"base64"}}',
                "badRequest badMessage",
            ),
            (f'{{"id":1,"publish":{name},"data":1,"key":5}}', "badRequest badMessage"),
        ]

    def test_commands(self) -> None:
        """
        Each wrong command is answered with its code, and the connection stays
        open.
        """
        for kind in SPEAKERS:
            for variant in (0, 1):
                speaker = self.speaker(kind, variant)
                for text, codes in self.bad():
                    code = speaker.errorOf(text)
                    self.assertIn(code, codes.split(), f"{kind}: {text[:100]}")
                    self.assertTrue(speaker.isOpen(), text[:100])

    def test_saysHowToShowTheKey(self) -> None:
        """
        A client that may not publish is told how its key is shown: by a command where it has
        sent one, on each edge, and in a header where it has sent a request.
        """
        for edge in ("lean", "twisted"):
            site = self.startServer("--edge", edge).site
            answer = ask(site, "POST", "/channels/closed", {}, b"1")
            self.assertEqual(answer.status, 401)
            self.assertIn(b"Authorization: Bearer", answer.body)
            for kind in SPEAKERS:
                speaker = SPEAKERS[kind](site)
                self.addCleanup(speaker.close)
                speaker.open([])
                error = self.assertRaises(CommandFailed, speaker.command, publish="closed", data=1)
                self.assertIn("by the command token", str(error))
                self.assertIn("--open", str(error))
                for word in ("Authorization", "Bearer", "header"):
                    self.assertNotIn(word, str(error))

    def test_notObjects(self) -> None:
        """
        A message that is not a JSON object is C{badMessage}, and the connection
        stays open.
        """
        for kind in SPEAKERS:
            speaker = self.speaker(kind)
            for text in NOT_OBJECTS:
                if kind == "tcp" and not text.strip():
                    continue
                self.assertEqual(speaker.errorOf(text), "badMessage", f"{kind}: {text[:100]!r}")
                self.assertTrue(speaker.isOpen(), text[:100])

    def test_id(self) -> None:
        """
        An answer has the C{id} of its command unchanged, also an error; without
        an C{id} in the command it has none.
        """
        for kind in SPEAKERS:
            speaker = self.speaker(kind)
            for ident in (0, -1, 2**53, "", "a\u2028<", "1"):
                speaker.say(json.dumps({"id": ident, "ping": None}))
                answer = speaker.answer()
                self.assertEqual(answer, {"id": ident, "ok": {"pong": None}})
                speaker.say(json.dumps({"id": ident, "dance": 1}))
                self.assertEqual(speaker.answer()["id"], ident)

    def test_keyReused(self) -> None:
        """
        A repeated idempotency key gets the first answer; with other data it is
        an error.
        """
        for kind in SPEAKERS:
            speaker, name = self.speaker(kind), self.channel("c", of=kind)
            first = speaker.command(publish=name, data=1, key="k")
            self.assertEqual(speaker.command(publish=name, data=1, key="k"), first)
            error = self.assertRaises(CommandFailed, speaker.command, publish=name, data=2, key="k")
            self.assertEqual(error.code, "keyReused")

    def test_tooLarge(self) -> None:
        """
        A message that is too large is C{tooLarge}, and the connection stays
        open.
        """
        for kind in SPEAKERS:
            speaker, name = self.speaker(kind), self.channel("c", of=kind)
            speaker.command(publish=name, data="x" * 60000)
            text = json.dumps({"id": 1, "publish": name, "data": "x" * 65537})
            self.assertEqual(speaker.errorOf(text), "tooLarge", kind)
            self.assertTrue(speaker.isOpen())

    def test_endlessLine(self) -> None:
        """
        The server does not keep a line that does not end.  At its end or before,
        the server answers C{tooLarge} and goes on, or closes.
        """
        tcp = TcpConnection(self.site.tcpPort)
        self.addCleanup(tcp.close)
        before = self.server.resident()
        buffer = b""
        try:
            tcp.send(b'{"ping":0}\n')
            self.assertEqual(tcp.receive(5), b'{"ok":{"pong":0}}\n')
            for _ in range(40):
                tcp.send(b"x" * 1000000)
            tcp.send(b'\n{"ping":1}\n')
        except Ended:
            pass
        deadline = time.monotonic() + 5
        while b"pong" not in buffer and (data := tcp.receive(deadline - time.monotonic())):
            buffer += data
        self.assertLess(self.server.resident() - before, 20_000_000)
        self.assertTrue(not buffer or b"tooLarge" in buffer, buffer[:200])

    def test_onUrl(self) -> None:
        """
        Commands are answered on a WebSocket whose names are in the URL, each of
        them once.
        """
        for variant in (0, 1):
            speaker = WebSocketClient(self.site, variant=variant)
            self.addCleanup(speaker.close)
            name = self.channel("c")
            speaker.open([name])
            for number in range(20):
                self.assertTrue(speaker.isOpen())
                speaker.command(publish=name, data=number)
            self.assertEqual([one.data for one in speaker.messages(20)], list(range(20)))

    def test_badUtf8(self) -> None:
        """
        A line that is not UTF-8 is C{badMessage}, and the connection stays open.
        """
        speaker = self.speaker("tcp")
        for line in (b"\xff\xfe", b'{"ping":"\xed\xa0\x80"}', b'{"ping":"\xc0\x80"}'):
            speaker.tcp.send(line + b"\n")
            self.assertEqual(speaker.answer()["error"]["code"], "badMessage", line)
        self.assertTrue(speaker.isOpen())


def frame(opcode: int, data: bytes, *, fin: bool = True, rsv: int = 0, mask: bool = True) -> bytes:
    """
    Write one frame, right or wrong (RFC 6455, section 5.2).
    """
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head = bytes([first, bit | len(data)])
    else:
        head = struct.pack(">BBH", first, bit | 126, len(data))
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[n % 4] for n, byte in enumerate(data))


PING = b'{"id":1,"ping":1}'
BAD_FRAMES: tuple[tuple[str, bytes, int], ...] = (
    ("unmasked", frame(1, PING, mask=False), 1002),
    ("rsv1", frame(1, PING, rsv=4), 1002),
    ("rsv2", frame(1, PING, rsv=2), 1002),
    ("rsv3", frame(1, PING, rsv=1), 1002),
    ("reserved opcode 3", frame(3, PING), 1002),
    ("reserved opcode 11", frame(11, b""), 1002),
    ("ping in pieces", frame(9, b"", fin=False), 1002),
    ("long ping", frame(9, b"x" * 126), 1002),
    ("continuation of nothing", frame(0, PING), 1002),
    ("two beginnings", frame(1, b"{", fin=False) + frame(1, b"}"), 1002),
    ("close of one byte", frame(8, b"\x03"), 1002),
    ("close 1005", frame(8, struct.pack(">H", 1005)), 1002),
    ("close with bad UTF-8", frame(8, struct.pack(">H", 1000) + b"\xff"), 1007),
    ("bad UTF-8", frame(1, b"\xff"), 1007),
    ("surrogate", frame(1, b'"\xed\xa0\x80"'), 1007),
    ("oversize", struct.pack(">BBQ", 0x81, 0xFF, 2**40) + b"key!" + b"x" * 1000, 1009),
    ("topmost bit", struct.pack(">BBQ", 0x81, 0xFF, 2**63) + b"key!", 1002),
    ("endless", frame(1, b"x" * 60000, fin=False) + frame(0, b"x" * 60000, fin=False) * 60, 1009),
)
# Other close codes that are right, too.  A length may be both too large and
# wrong; the close may be lost while the client sends; a broken close may count as
# the end of the connection.
ALSO: dict[str, int | None] = {
    "topmost bit": 1009,
    "endless": None,
    "close of one byte": None,
    "close 1005": None,
    "close with bad UTF-8": None,
}


class FrameTests(EdgeTestCase):
    """
    Frames and handshakes that RFC 6455 forbids.
    """

    def shakeHands(self, **changes: str) -> tuple[HttpConnection, int]:
        """
        Request a WebSocket, without the headers that are empty here.
        """
        connection = HttpConnection(TcpConnection(self.site.port))
        self.addCleanup(connection.tcp.close)
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        headers.update({name.replace("_", "-"): value for name, value in changes.items()})
        headers = {name: value for name, value in headers.items() if value}
        connection.send("GET", "/socket", headers)
        return connection, connection.head().status

    def closeCode(self, tcp: TcpConnection) -> int | None:
        """
        Read up to a close frame, and return its code; L{None} if the connection
        ends without one.
        """
        buffer, deadline = b"", time.monotonic() + 5
        while data := tcp.receive(deadline - time.monotonic()):
            buffer += data
            while len(buffer) >= 2 and len(buffer) >= 2 + buffer[1]:
                if buffer[1] >= 126:
                    raise Violation("a long frame instead of a close")
                if buffer[0] == 0x88:
                    return int.from_bytes(buffer[2:4], "big")
                buffer = buffer[2 + buffer[1] :]
        return None

    def test_frames(self) -> None:
        """
        A broken frame closes the connection with the code that RFC 6455 has for
        it.
        """
        for label, data, code in BAD_FRAMES:
            connection, status = self.shakeHands()
            self.assertEqual(status, 101)
            try:
                connection.tcp.send(data)
            except Exception:
                pass
            found = self.closeCode(connection.tcp)
            self.assertIn(found, (code, ALSO.get(label, code)), label)
            connection.tcp.close()
        self.assertEqual(ask(self.site, "GET", "/health").status, 200)

    def test_binary(self) -> None:
        """
        A binary message is answered with an error, or closes the connection with
        1003.
        """
        connection, _ = self.shakeHands()
        connection.tcp.send(frame(2, PING))
        first = connection.tcp.receive(5)
        self.assertTrue(b"badMessage" in first or first[2:4] == struct.pack(">H", 1003), first)

    def test_handshakes(self) -> None:
        """
        A request that is not a handshake of RFC 6455 is not answered with 101.
        """
        for changes in (
            {"Sec_WebSocket_Key": ""},
            {"Sec_WebSocket_Key": "short"},
            {"Sec_WebSocket_Version": "8"},
            {"Sec_WebSocket_Version": ""},
            {"Upgrade": "carrier-pigeon"},
            {"Connection": "close"},
        ):
            status = self.shakeHands(**changes)[1]
            self.assertIn(status, (400, 404, 405, 426), changes)

    def test_fragments(self) -> None:
        """
        A command in two fragments with a ping between them is answered, and so
        is the ping.
        """
        connection, _ = self.shakeHands()
        connection.tcp.send(frame(1, PING[:4], fin=False) + frame(9, b"hey"))
        connection.tcp.send(frame(0, PING[4:]))
        expected = b"\x8a\x03hey" + b'\x81\x18{"id":1,"ok":{"pong":1}}'
        buffer, deadline = b"", time.monotonic() + 5
        while len(buffer) < len(expected):
            data = connection.tcp.receive(deadline - time.monotonic())
            self.assertTrue(data, buffer)
            buffer += data
        self.assertEqual(buffer, expected)

    def test_close(self) -> None:
        """
        The server answers a close with a close, and then closes the connection.
        """
        client = WebSocketClient(self.site)
        self.addCleanup(client.close)
        client.open([])
        self.assertTrue(client.isOpen())
        client.tcp.send(frame(8, struct.pack(">H", 1000)))
        self.assertEqual(self.closeCode(client.tcp), 1000)
        self.assertEqual(client.tcp.receive(5), b"")
