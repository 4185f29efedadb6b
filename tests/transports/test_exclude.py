"""
Publications that spare their own client's readers, on the transports of Twisted's edge.
"""

from __future__ import annotations

import json
from typing import Any

from comet.model.messages import Publication
from comet.transports.tcp import CometFactory
from tests.framing.readers import LinesReader
from tests.transports.case import HubTestCase, get, readHead, readResponse, request
from tests.transports.wire import Wire

MINE = "mine-0001"
NDJSON = "Content-Type: application/x-ndjson"


class ExcludeTests(HubTestCase):
    """
    The parameter C{reader}, and what excludes it.
    """

    def begin(self, said: bytes) -> Wire:
        """
        Send a request.
        """
        wire = self.connect()
        wire.send(said)
        self.turn()
        return wire

    def put(self, data: str, *headers: str) -> None:
        """
        Publish to C{open/a}.
        """
        response = self.ask(request("POST", "/channels/open/a", *headers, body=data.encode()))
        self.assertEqual(response.status, 201, response.body)

    def test_streams(self) -> None:
        """
        On each endless transport a reader with the id gets what others publish; live and
        replayed, and everybody else gets all.
        """
        for transport in ("stream", "sse", "multipart", "iframe"):
            path = f"/channels/open/a?transport={transport}&callback=cb"
            mine, other = self.begin(get(f"{path}&reader={MINE}")), self.begin(get(path))
            self.put("first", f"Comet-Exclude: {MINE}")
            self.put("second")
            self.turn()
            late = self.begin(get(f"{path}&reader={MINE}&since=-2"))
            said = [wire.take() for wire in (mine, other, late)]
            heard = [[word in each for word in (b"first", b"second")] for each in said]
            self.assertEqual(heard, [[False, True], [True, True], [False, True]], transport)

    def test_polls(self) -> None:
        """
        A held poll is not answered by its client's own; what it then says is behind it.
        """
        path = f"/channels/open/a?transport=longpoll&wait=20&reader={MINE}"
        wire = self.begin(get(path))
        self.put("first", f"Comet-Exclude: {MINE}")
        self.turn()
        self.assertEqual(wire.take(), b"")
        self.turn(20.2)
        empty = readResponse(wire.take()).json
        self.assertEqual((empty["messages"], empty["cursor"][-2:]), ([], "-1"))
        held = get(f"/channels/open/a?transport=poll&since=earliest&reader={MINE}")
        self.assertEqual(self.ask(held).json["messages"], [])
        self.put("second")
        self.assertEqual([each["data"] for each in self.ask(held).json["messages"]], ["second"])

    def test_history(self) -> None:
        """
        Scrolling back shows a client what it has published itself.
        """
        self.put("first", f"Comet-Exclude: {MINE}")
        self.put("second")
        path = f"/channels/open/a?transport=poll&before={self.bus.end}&reader={MINE}"
        self.assertEqual([each["data"] for each in self.ask(get(path)).json["messages"]], ["first"])

    def test_commands(self) -> None:
        """
        The id of a command holds for the connection from then on, and goes with a
        publication; it is no part of an envelope.
        """
        wire = self.connect(CometFactory(self.hub))

        def say(*values: Any) -> list[Any]:
            wire.send(b"".join(json.dumps(value).encode() + b"\n" for value in values))
            self.turn()
            lines = LinesReader()
            lines.feed(wire.take())
            return [each for each in lines.values if "channel" in each or "error" in each]

        own = {"publish": "open/a", "data": "mine", "exclude": MINE}
        say({"subscribe": ["open/b"]})
        [heard] = say({"subscribe": ["open/a"]}, own)
        self.assertEqual(list(heard), ["channel", "cursor", "data"])
        self.assertEqual(say({"subscribe": ["open/c"], "reader": MINE}, own), [])
        self.assertEqual(say({"subscribe": ["open/a"]}, own), [])
        [heard] = say({"publish": "open/a", "data": "theirs", "exclude": "others-01"})
        self.assertEqual(heard["data"], "theirs")
        for bad in ({"subscribe": ["x"], "reader": "short"}, {**own, "exclude": 5}):
            [told] = say(bad)
            self.assertEqual(told["error"]["code"], "badRequest")

    def test_batch(self) -> None:
        """
        A line of a batch may exclude readers.
        """
        lines = [{"channel": "open/a", "data": n, "exclude": MINE} for n in range(2)]
        lines.append({"channel": "open/a", "data": 2})
        body = "\n".join(map(json.dumps, lines)).encode()
        self.assertEqual(self.ask(request("POST", "/publish", NDJSON, body=body)).status, 201)
        held = get(f"/channels/open/a?transport=poll&since=earliest&reader={MINE}")
        self.assertEqual([each["data"] for each in self.ask(held).json["messages"]], [2])

    def test_notValid(self) -> None:
        """
        An id of another form is refused.
        """
        for id in ("", "1234567", "x" * 65, "caf%C3%A9-0001", "a%20b%20c%20d"):
            response = self.ask(get(f"/channels/open/a?transport=poll&reader={id}"))
            self.assertProblem(response, 400, "badRequest")
        for id in ("1234567", "x" * 65, "a b c d e"):
            said = request("POST", "/channels/open/a", f"Comet-Exclude: {id}", body=b"x")
            self.assertProblem(self.ask(said), 400, "badRequest")

    def test_preflight(self) -> None:
        """
        Pages may send the header.
        """
        said = get("/channels/a", "Origin: https://friend.example", method="OPTIONS")
        allowed = readHead(self.begin(said).take()).header("Access-Control-Allow-Headers") or ""
        self.assertIn("Comet-Exclude", allowed)

    def test_rewritten(self) -> None:
        """
        What a filter or a hook makes of a message excludes the same readers.
        """
        sent = Publication(("open/a",), b'"x"', exclude=MINE)
        self.assertEqual(self.hub.withData(sent, "y").exclude, MINE)
