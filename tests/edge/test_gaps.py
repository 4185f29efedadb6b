"""
Tests of gaps, and of the headers that carry a cursor.
"""

from __future__ import annotations

from typing import Any

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Client
from tests.edge.connections import Response, ask
from tests.edge.envelopes import BareCursor, Gap, Message, readPollBody
from tests.edge.publisher import Published, publish
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS, Reading, WebSocketClient


class GapCase(EdgeTestCase):
    """
    The base class of the tests of gaps.
    """

    def assertGapThen(
        self, client: Client, names: list[str], held: list[Published], epoch: str
    ) -> None:
        """
        Check that the reader hears first a gap of these names, then these
        messages, and no other gap.
        """
        gap = client.next()
        assert isinstance(gap, Gap), f"{client.name} begins with {gap}"
        self.assertEqual(sorted(gap.names), sorted(names), client.name)
        if gap.cursor is not None:
            self.assertEqual(gap.cursor.epoch, epoch)
            if held:
                self.assertLess(gap.cursor, held[0].cursor)
        self.assertHeard(client.messages(len(held)), held)
        if client.name != "longpoll":
            self.assertEqual(Reading.rest(client), [])


class GapTests(GapCase):
    """
    Readers that resume too late.
    """

    options = ("--open", "open/**", "--history-messages", "5")

    def test_belowFloor(self) -> None:
        """
        A reader that resumes below the floor of a channel gets exactly one gap
        first, then the held messages, then the live ones.
        """
        for kind in CLIENTS:
            for variant in (0, 1):
                name = self.channel("c", of=f"{kind}{variant}")
                all = self.publish(name, 8)
                client = self.client(kind, variant=variant)
                client.open([name], str(all[0].cursor))
                self.assertGapThen(client, [name], all[3:], all[0].cursor.epoch)
                fresh = self.publish(name, 1, 9)
                self.assertHeard(client.messages(1), fresh)

    def test_onlyNamesThatLost(self) -> None:
        """
        A gap lists only the names that lost messages, as the reader wrote them.
        """
        for kind in CLIENTS:
            a, b = (self.channel(end, of=kind) for end in "ab")
            start = self.publish(b, 1)[0]
            all = self.publish(a, 8)
            client = self.client(kind)
            client.open([a, b], str(start.cursor))
            self.assertGapThen(client, [a], all[3:], start.cursor.epoch)
            client.cut()
            pattern = f"{a[:-1]}*"
            client.open([pattern, b], str(start.cursor))
            self.assertGapThen(client, [pattern], all[3:], start.cursor.epoch)

    def test_noGap(self) -> None:
        """
        A reader exactly at the floor gets no gap, and neither does one that
        begins with C{earliest}, C{now} or C{-N}.
        """
        for kind in CLIENTS:
            name = self.channel("c", of=kind)
            all = self.publish(name, 8)
            client = self.client(kind)
            for since, held in (
                (str(all[2].cursor), all[3:]),
                ("earliest", all[3:]),
                ("-7", all[3:]),
            ):
                client.open([name], since)
                self.assertHeard(client.messages(len(held)), held)
                client.cut()

    def test_forgotten(self) -> None:
        """
        C{DELETE} drops the held messages and needs the key.  It is a gap for a
        reader before them, and none for a reader at the log's end.
        """
        for kind in CLIENTS:
            name = self.channel("c", of=kind)
            all = self.publish(name, 3)
            path = f"/channels/{name}"
            self.assertIn(ask(self.site, "DELETE", path).status, (401, 403))
            headers = {"Authorization": f"Bearer {self.site.key}"}
            answer = ask(self.site, "DELETE", path, headers)
            self.assertEqual((answer.status, answer.body), (204, b""))
            client = self.client(kind)
            client.open([name], str(all[0].cursor))
            self.assertGapThen(client, [name], [], all[0].cursor.epoch)
            client.cut()
            client.open([name], str(all[2].cursor))
            fresh = self.publish(name, 1, 4)
            self.assertHeard(client.messages(1), fresh)

    def test_late(self) -> None:
        """
        The C{ok} of a C{subscribe} carries the gap of the late name.
        """
        name, other = self.channel("c"), self.channel("d")
        all = self.publish(name, 8)
        client = WebSocketClient(self.site)
        self.addCleanup(client.close)
        client.open([])
        client.command(subscribe=[other])
        ok = client.command(subscribe=[name], since=str(all[0].cursor))
        self.assertEqual(ok["gap"], [name])
        self.assertIsInstance(client.next(), BareCursor)
        self.assertIsInstance(client.next(), Gap)
        self.assertEqual(client.messages(5)[-1].data, {"n": 8})

    def test_beyond(self) -> None:
        """
        A position beyond the log's end belongs to another epoch: the reader gets
        a gap.
        """
        for kind in CLIENTS:
            name = self.channel("c", of=kind)
            all = self.publish(name, 2)
            epoch, position = all[-1].cursor
            client = self.client(kind)
            client.open([name], f"{epoch}-{position + 1000}")
            self.assertGapThen(client, [name], all, epoch)


class EpochTests(GapCase):
    """
    A server whose log begins anew.
    """

    def fill(self, server: CometProcess, name: str, count: int) -> list[Published]:
        """
        Publish to a server that only this test uses.
        """
        return [publish(server.site, name, {"n": n}) for n in range(count)]

    def test_restart(self) -> None:
        """
        After a restart every cursor is of another epoch: the reader gets one
        gap, then all held messages with cursors of the new epoch.
        """
        server = self.startServer()
        old = self.fill(server, "news", 3)
        key = server.site.key
        self.assertEqual(server.keyMode, 0o600)
        server.restart()
        self.assertEqual(server.site.key, key)
        held = self.fill(server, "news", 2)
        self.assertNotEqual(held[0].cursor.epoch, old[0].cursor.epoch)
        for kind in CLIENTS:
            for variant in (0, 1):
                client = self.client(kind, server.site, variant=variant)
                client.open(["news"], str(old[1].cursor))
                self.assertGapThen(client, ["news"], held, held[0].cursor.epoch)
                client.cut()

    def test_restartWithoutMessages(self) -> None:
        """
        After a restart, while no message is held, the reader gets the gap at
        once, also by a long poll.
        """
        server = self.startServer()
        for kind in CLIENTS:
            client = self.client(kind, server.site)
            client.open(["news", "chat/*"], "gone-17")
            gap = client.next(5)
            assert isinstance(gap, Gap)
            self.assertEqual(sorted(gap.names), ["chat/*", "news"])


class ConditionalTests(EdgeTestCase):
    """
    The headers that carry a cursor.
    """

    def poll(self, name: str, query: str = "", **headers: str) -> Response:
        """
        Send one poll.
        """
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        return ask(self.site, "GET", f"/channels/{name}?transport=poll{query}", given)

    def messagesOf(self, answer: Response) -> list[Any]:
        """
        Return the data of the messages of a poll body.
        """
        self.assertEqual(answer.status, 200)
        events = readPollBody(answer.body).events
        self.assertEqual([event for event in events if isinstance(event, Gap)], [])
        return [event.data["n"] for event in events if isinstance(event, Message)]

    def test_notModified(self) -> None:
        """
        A poll with the current cursor is answered with 304, without a body and
        with the same tag; also if the tag is weak, marked by a compressing
        proxy, or one of several.
        """
        name = self.channel("c")
        end = str(self.publish(name, 2)[-1].cursor)
        for tag in (
            f'"{end}"',
            f'W/"{end}"',
            f'"{end}-gzip"',
            f'W/"{end}-gzip"',
            f'"rubbish", "{end}"',
            f'"gone-99999", "{end}"',
        ):
            answer = self.poll(name, If_None_Match=tag)
            self.assertEqual((answer.status, answer.body), (304, b""), tag)
            self.assertIn(end, answer.headers["etag"])
        answer = ask(self.site, "GET", f"/channels/{name}?wait=0", {"If-None-Match": f'"{end}"'})
        self.assertEqual(answer.status, 304)

    def test_lowest(self) -> None:
        """
        Of several tags the lowest cursor counts; tags that are no cursors are
        ignored.
        """
        name = self.channel("c")
        one, two, three = (str(each.cursor) for each in self.publish(name, 3))
        for tags, expected in (
            (f'"{three}", "{one}", "{two}"', [2, 3]),
            (f'"x", W/"{two}-gzip", "{three}"', [3]),
            ('"x"', []),
        ):
            self.assertEqual(self.messagesOf(self.poll(name, If_None_Match=tags)), expected, tags)

    def test_precedence(self) -> None:
        """
        C{Last-Event-ID} has precedence over C{since}, and C{since} over
        C{If-None-Match}.
        """
        name = self.channel("c")
        one, two, three = (str(each.cursor) for each in self.publish(name, 3))
        answer = self.poll(name, f"&since={three}", Last_Event_ID=one, If_None_Match=f'"{two}"')
        self.assertEqual(self.messagesOf(answer), [2, 3])
        answer = self.poll(name, f"&since={two}", If_None_Match=f'"{three}"')
        self.assertEqual(self.messagesOf(answer), [3])
        self.assertEqual(self.messagesOf(self.poll(name, "&since=")), [])

    def test_lastEventIdAsParameter(self) -> None:
        """
        A parameter that stands for C{Last-Event-ID} gives the start position on
        every transport of HTTP, and overrules the C{since} that the URL repeats.
        """
        name = self.channel("c")
        one, _, three = (str(each.cursor) for each in self.publish(name, 3))
        for spelling in ("lastEventId", "lastEventID", "last_event_id", "Last-Event-ID"):
            answer = self.poll(name, f"&since={three}&{spelling}={one}")
            self.assertEqual(self.messagesOf(answer), [2, 3], spelling)
            for client in self.each("tcp"):
                client.open([name], None, {}, **{spelling: one})
                heard = [each.data["n"] for each in client.messages(2)]
                self.assertEqual(heard, [2, 3], (spelling, client.name, client.variant))
                client.close()

    def test_unreadable(self) -> None:
        """
        A C{Last-Event-ID} that is no cursor is a gap, after which all held
        messages come.
        """
        name = self.channel("c")
        self.publish(name, 2)
        body = readPollBody(self.poll(name, Last_Event_ID="what is this?").body)
        self.assertEqual(body.events[0], Gap(None, (name,)))
        self.assertEqual(len([one for one in body.events if isinstance(one, Message)]), 2)
        for kind in ("sse", "stream", "multipart", "iframe"):
            client = self.client(kind)
            client.unreadable = "x y"
            client.open([name])
            self.assertEqual(getattr(client.next(), "names", None), (name,), kind)
            self.assertEqual([one.data["n"] for one in client.messages(2)], [1, 2])

    def test_head(self) -> None:
        """
        C{HEAD} is answered with the current cursor in C{ETag}.
        """
        name = self.channel("c")
        end = self.publish(name, 1)[0].cursor
        answer = ask(self.site, "HEAD", f"/channels/{name}")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["etag"], f'"{end}"')

    def test_wait(self) -> None:
        """
        A long poll ends after C{wait} seconds, or the seconds of C{Prefer}, with
        the cursor and no messages.
        """
        name = self.channel("c")
        end = self.publish(name, 1)[0].cursor
        for query, headers in (("?wait=1", {}), ("", {"Prefer": "wait=1"})):
            answer = ask(self.site, "GET", f"/channels/{name}{query}", headers, timeout=5)
            self.assertEqual(answer.status, 200)
            self.assertEqual(readPollBody(answer.body).events, [BareCursor(end)])
