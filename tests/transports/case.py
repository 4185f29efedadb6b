"""
What the test cases of the transports share.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource
from twisted.web.server import Site

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.framing.publications import Limits
from comet.http.origins import Origins
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.framing.readers import ChunkReader
from tests.transports.wire import Serving, Wire

KEY = "0123456789abcdef"
AUTH = b"Authorization: Bearer 0123456789abcdef\r\n"

# Headers of every response to a GET.
COMMON = {
    "cache-control": ["no-store, no-transform"],
    "vary": ["Origin, Accept"],
    "x-content-type-options": ["nosniff"],
}


class Response(NamedTuple):
    """
    A response as a client reads it.

    @ivar headers: All values by their names in lower case.

    @ivar rest: The bytes after it.
    """

    status: int
    headers: dict[str, list[str]]
    body: bytes
    rest: bytes

    @property
    def json(self) -> Any:
        """
        Return the body as JSON.
        """
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """
        Return the only value of a header.
        """
        values = self.headers.get(name.lower(), [])
        assert len(values) <= 1, (name, values)
        return values[0] if values else None


def readHead(data: bytes) -> Response:
    """
    Parse a response whose body is all that follows its head.
    """
    head, found, rest = data.partition(b"\r\n\r\n")
    assert found, data
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version in ("HTTP/1.1", "HTTP/1.0"), version
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon and name == name.strip(), line
        headers.setdefault(name.lower(), []).append(value)
    return Response(int(status), headers, rest, b"")


def readResponse(data: bytes, isHead: bool = False) -> Response:
    """
    Parse a complete response, as RFC 9112 6.3 says.
    """
    response = readHead(data)
    rest = response.body
    if isHead or response.status in (204, 304):
        return response._replace(body=b"", rest=rest)
    if response.header("Transfer-Encoding") == "chunked":
        end = rest.index(b"0\r\n\r\n") + 5
        chunks = ChunkReader()
        chunks.feed(rest[:end])
        return response._replace(body=chunks.body, rest=rest[end:])
    length = int(response.header("Content-Length") or -1)
    assert 0 <= length <= len(rest), (length, rest)
    return response._replace(body=rest[:length], rest=rest[length:])


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """
    Make a request without a body.
    """
    return request(method, path, *headers, version=version)


def request(
    method: str, path: str, *headers: str, body: bytes | None = None, version: str = "1.1"
) -> bytes:
    """
    Make a request.
    """
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def post(path: str, body: bytes, *headers: str) -> bytes:
    """
    Make a request to publish, with the key.
    """
    return request("POST", path, f"Authorization: Bearer {KEY}", *headers, body=body)


class HubTestCase(SynchronousTestCase):
    """
    A hub, and connections to it in memory.
    """

    settings = Settings(limits=Limits(maxMessage=1024))
    origins = Origins(["https://friend.example"], ["http://push.example"])

    def setUp(self) -> None:
        """
        Make a hub whose clock stands still.
        """
        self.clock = Clock()
        self.clock.advance(1000)
        self.bus = MemoryBus(self.clock, wallClock=self.clock.seconds)
        access = Access(KEY, ["open/**"])
        self.hub = Hub(self.bus, self.clock, self.settings, access, self.origins)
        self.wires: list[Wire] = []
        self.site = self.makeSite(CometResource(self.hub))

    def makeSite(self, resource: IResource) -> CometSite:
        """
        Make a site as C{twistd comet} does.
        """
        return CometSite(resource, self.settings.limits.maxBatchBytes, reactor=self.clock)

    def makePlainSite(self, resource: IResource) -> Site:
        """
        Make a site of Twisted's.
        """
        site = Site(resource, reactor=self.clock)
        self.patch(site, "log", lambda request: None)
        return site

    def connect(self, factory: Serving | None = None) -> Wire:
        """
        Connect to a site.
        """
        wire = Wire(self.site if factory is None else factory)
        self.wires.append(wire)
        return wire

    def turn(self, seconds: float = 0) -> None:
        """
        Advance the clock, and let everything happen that is due.
        """
        self.clock.advance(seconds)
        for wire in self.wires:
            wire.settle()
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)
            for wire in self.wires:
                wire.settle()

    def publish(self, channel: str, *data: Any) -> list[str]:
        """
        Publish to a channel, all in one turn.

        @return: The cursors.
        """
        published = [self.hub.publish(channel, each) for each in data]
        self.turn()
        return [str(self.successResultOf(each)) for each in published]

    def ask(self, request: bytes, factory: Serving | None = None) -> Response:
        """
        Send one request on a connection of its own, and parse its response.
        """
        wire = self.connect(factory)
        wire.send(request)
        self.turn()
        return readResponse(wire.take(), isHead=request.startswith(b"HEAD"))

    def assertNothingLeft(self) -> None:
        """
        Assert that no client is connected, and that nothing refers to one.
        """
        for wire in self.wires:
            if wire.isOpen:
                wire.leave()
        self.assertEqual(list(self.hub.fanout.readers), [])
        self.assertEqual(list(self.hub.fanout.leaving.readers), [])
        self.successResultOf(self.bus.stop())
        # A group lives a little longer than its readers.
        self.turn(11)
        self.assertEqual(len(self.hub.fanout.registry), 0)
        self.turn(20)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def assertProblem(self, response: Response, status: int, code: str) -> None:
        """
        Assert that a response is an error of comet's.
        """
        self.assertEqual((response.status, response.json["code"]), (status, code))
        self.assertEqual(response.header("Content-Type"), "application/problem+json")
        self.assertEqual(response.json["status"], status)
        self.assertTrue(response.json["detail"])


def cursors(values: Sequence[Any]) -> list[str]:
    """
    Return the cursors of some envelopes.
    """
    return [value["cursor"] for value in values]
