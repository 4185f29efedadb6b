"""
Tests of a server with C{--bus sqlite:} that is killed again and again while
clients publish.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing

from tests.edge import test_handovers
from tests.edge.case import EdgeTestCase
from tests.edge.clients import Refused, pathOf
from tests.edge.connections import PATIENCE, Ended, Silence, Site, Violation, ask
from tests.edge.envelopes import BareCursor, Message
from tests.edge.publisher import Published, headersOf, publish, readPublished
from tests.edge.speakers import CLIENTS

BUS = ("--bus", "sqlite:comet.db")
CHANNELS = ("open/k/a", "open/k/b", "open/k/c")

# The errors of a client whose server is killed.
GONE = (ConnectionError, Ended, Silence, Refused)


class Insistent(threading.Thread):
    """
    A publisher that repeats each message with the same idempotency key until it
    is answered, in a thread.

    @ivar answered: The answered messages, by their keys.
    """

    def __init__(self, site: Site, channel: str) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.channel = channel
        self.answered: list[tuple[str, Published]] = []
        self.isOver = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        """
        Publish until the test is over.
        """
        try:
            number = 0
            while not self.isOver.is_set():
                number += 1
                self.publish(f"{self.channel}:{number}", number)
        except BaseException as error:
            self.error = error

    def publish(self, key: str, number: int) -> None:
        """
        Publish a message until it is answered.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                published = self.attempt(key, number)
            except GONE:
                published = None
            if published is not None:
                self.answered.append((key, published))
                return
            time.sleep(0.01)
        raise Violation(f"{key} was not answered")

    def attempt(self, key: str, number: int) -> Published | None:
        """
        Publish a message once.

        @return: L{None} if the attempt failed.
        """
        headers = headersOf(self.site, {"Idempotency-Key": key})
        body = json.dumps(number).encode()
        answer = ask(self.site, "POST", pathOf([self.channel]), headers, body)
        if answer.status in (503, 504):
            return None
        return Published(self.channel, readPublished(answer, [self.channel])[self.channel], number)


class Faithful(threading.Thread):
    """
    A reader that resumes with its cursor whenever it is cut off, in a thread.

    @ivar heard: The messages that it heard.
    """

    def __init__(self, kind: str, site: Site, since: str) -> None:
        super().__init__(daemon=True)
        self.kind = kind
        self.site = site
        self.cursor = since
        self.heard: list[Message] = []
        self.isOver: Callable[[], bool] = lambda: False
        self.error: BaseException | None = None

    def run(self) -> None:
        """
        Read until the test is over.
        """
        try:
            while not self.isOver():
                client = CLIENTS[self.kind](self.site)
                try:
                    client.open(CHANNELS, self.cursor)
                    while not self.isOver():
                        event = client.next(0.5)
                        if isinstance(event, Message):
                            self.heard.append(event)
                        elif not isinstance(event, BareCursor):
                            raise Violation(f"{self.kind}: {event} while nothing was lost")
                        self.cursor = client.cursor or self.cursor
                except GONE:
                    time.sleep(0.01)
                finally:
                    client.cut()
        except BaseException as error:
            self.error = error


class KilledTests(EdgeTestCase):
    """
    A server that keeps its messages in a file.
    """

    def test_killed(self) -> None:
        """
        After any number of kills every answered message is in the log once, in
        order; a reader that resumes with its cursor gets no gap; and a repeated
        key gets its first answer.
        """
        server = self.startServer(*BUS, "--history-messages", "100000")
        start = publish(server.site, "open/k/start", 0).cursor
        publishers = [Insistent(server.site, channel) for channel in CHANNELS]
        readers = [Faithful(kind, server.site, str(start)) for kind in ("sse", "longpoll")]
        threads: list[threading.Thread] = [*publishers, *readers]
        for thread in threads:
            thread.start()
        for round_ in range(5):
            self.awaitAnswers(publishers, 30 * (round_ + 1))
            server.kill()
            server.restart()
        self.awaitAnswers(publishers, 30 * 6)
        for publisher in publishers:
            publisher.isOver.set()
            publisher.join(PATIENCE)
        last = max(each.answered[-1][1].cursor.position for each in publishers)
        deadline = time.monotonic() + PATIENCE
        for reader in readers:
            reader.isOver = lambda: time.monotonic() > deadline or self.isAt(readers, last)
            reader.join(2 * PATIENCE)
        self.assertEqual([each.error for each in publishers], [None] * 3)
        self.assertEqual([each.error for each in readers], [None] * 2)
        answered = [each for publisher in publishers for each in publisher.answered]
        published = sorted((one for _, one in answered), key=lambda one: one.cursor.position)
        self.assertEqual({one.cursor.epoch for one in published}, {start.epoch})
        for reader in readers:
            self.assertHeard(reader.heard, published)
        for key, one in answered[:: max(len(answered) // 50, 1)]:
            again = publish(server.site, one.channel, one.data, {"Idempotency-Key": key})
            self.assertEqual(again, one)

    def isAt(self, readers: list[Faithful], last: int) -> bool:
        """
        Whether all readers have heard all messages.
        """
        return all(each.heard and each.heard[-1].cursor.position >= last for each in readers)

    def awaitAnswers(self, publishers: list[Insistent], count: int) -> None:
        """
        Wait until each publisher has so many answers.
        """
        deadline = time.monotonic() + 2 * PATIENCE
        while any(len(each.answered) < count for each in publishers):
            self.assertEqual([each.error for each in publishers], [None] * len(publishers))
            self.assertLess(time.monotonic(), deadline, "publishing takes too long")
            time.sleep(0.005)

    def test_lookedInto(self) -> None:
        """
        After a kill another program may look into the database, and readers go
        on with their cursors.  When messages were removed, readers are told of
        a gap, and the log says why.
        """
        server = self.startServer(*BUS)
        path = server.directory / "comet.db"
        published = [publish(server.site, "open/k/a", number) for number in range(5)]
        server.kill()
        with closing(sqlite3.connect(path)) as connection:
            [count] = connection.execute("SELECT count(*) FROM messages").fetchone()
        self.assertEqual((count, (path.parent / "comet.db-wal").exists()), (5, False))
        server.restart()
        self.assertEqual(server.log().count("a new epoch begins"), 1)
        client = self.client("stream", server.site)
        client.open(["open/k/a"], str(published[1].cursor))
        self.assertHeard(client.messages(3), published[2:])
        server.kill()
        (path.parent / "comet.db-wal").unlink()
        server.restart()
        epoch = publish(server.site, "open/k/a", 0).cursor.epoch
        self.assertNotEqual(epoch, published[0].cursor.epoch)
        self.assertRegex(server.log(), "#warn. a new epoch begins in .*comet.db: ")

    def test_stopped(self) -> None:
        """
        A server that is stopped in order leaves one file with all messages, and
        can be started again.
        """
        server = self.startServer(*BUS)
        published = [publish(server.site, "open/k/a", number) for number in range(5)]
        server.stop()
        files = {path.name for path in server.directory.iterdir() if "comet.db" in path.name}
        self.assertEqual(files, {"comet.db", "comet.db-guard"})
        with closing(sqlite3.connect(server.directory / "comet.db")) as connection:
            [count] = connection.execute("SELECT count(*) FROM messages").fetchone()
        self.assertEqual(count, 5)
        server.restart()
        client = self.client("stream", server.site)
        client.open(["open/k/a"], str(published[1].cursor))
        self.assertHeard(client.messages(3), published[2:])


class HandoverTests(test_handovers.HandoverTests):
    """
    Readers that change their transport, with messages in a file.
    """

    options = ("--open", "open/**", *BUS, *test_handovers.HISTORY)
