"""
Tests of L{comet.client.standing} and L{comet.client.cursorfile}.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.client.cursorfile import CursorFile
from comet.client.received import Envelope, Message
from comet.client.standing import Standing, decodeSince
from comet.errors import BadChannel
from comet.model.cursors import Cursor

EPOCH = "k3f9a2"

# A log: the channel of each position.
LOGS = st.lists(st.sampled_from("abc"), max_size=12).map("".join)


def at(position: int, epoch: str = EPOCH) -> Cursor:
    """
    Make a cursor.
    """
    return Cursor(epoch, position)


def message(channel: str, position: int, replay: bool = False) -> Message:
    """
    Make a message.
    """
    return Message(channel, str(at(position)), position, replay=replay)


class StandingTests(SynchronousTestCase):
    """
    L{Standing}.
    """

    @settings(deadline=None)
    @given(LOGS, st.dictionaries(st.sampled_from("abc"), st.integers(0, 12)), st.data())
    def test_breaks(self, log: str, starts: dict[str, int], data: st.DataObject) -> None:
        """
        Each name gets each of its messages behind its start once and in order, wherever connections
        break off, and also from a server that repeats some.
        """
        head = len(log)
        starts = {name: min(start, head) for name, start in starts.items()}
        standing = Standing("abc", {name: str(at(start)) for name, start in starts.items()})
        found: dict[str, list[int]] = {"a": [], "b": [], "c": []}
        for _ in range(30):
            steps = self.serve(standing, log)
            count = data.draw(st.integers(0, len(steps)))
            for envelope, isFirst in steps[:count]:
                if isFirst:
                    standing.opened(envelope)
                elif not envelope.messages:
                    standing.reached(envelope.cursor)
                for cursor, each in envelope.messages:
                    for repeated in range(data.draw(st.integers(1, 2))):
                        isNew = standing.isNew(cursor, each)
                        self.assertFalse(repeated and isNew)
                        if isNew:
                            found[each.channel].append(each.data)
            if count == len(steps):
                break
        else:
            return
        for name in "abc":
            behind = range(starts.get(name, head) + 1, head + 1)
            self.assertEqual(found[name], [each for each in behind if log[each - 1] == name])

    def serve(self, standing: Standing, log: str) -> list[tuple[Envelope, bool]]:
        """
        Return what a server sends on one connection to which nothing more is published.
        """
        asked = standing.parameters()
        general = asked.pop("since")
        head = len(log)
        places = dict.fromkeys("abc", head if general == "now" else int(general.split("-")[1]))
        for key, value in asked.items():
            places[key.removeprefix("since.")] = int(value.split("-")[1])
        furthest = max(places.values())
        steps = [(Envelope(at(furthest)), True)]
        for position, channel in enumerate(log, 1):
            if position > places[channel]:
                cursor = at(position)
                item = message(channel, position, position <= furthest)
                steps.append((Envelope(cursor, ((cursor, item),)), False))
        if min(places.values()) < furthest:
            # Behind the last that is replayed.
            place = 1 + sum(bool(each.messages and each.messages[0][1].replay) for each, _ in steps)
            steps.insert(place, (Envelope(at(furthest)), False))
        return steps

    def test_newEpoch(self) -> None:
        """
        In a new log all positions of the old one count for nothing.
        """
        standing = Standing("ab", {"a": str(at(3)), "b": str(at(5))})
        standing.opened(Envelope(at(5)))
        self.assertEqual(standing.parameters(), {"since": "k3f9a2-5", "since.a": "k3f9a2-3"})
        standing.opened(Envelope(at(0, "other")))
        self.assertEqual(standing.parameters(), {"since": "other-0", "since.a": "earliest"})
        self.assertTrue(standing.isNew(at(1, "other"), message("b", 1)))
        self.assertEqual(standing.parameters(), {"since": "other-1"})

    def test_refused(self) -> None:
        """
        No names, names that are not valid, and starts of other names are refused.
        """
        self.assertRaises(ValueError, Standing, [])
        self.assertRaises(BadChannel, Standing, ["a//b"])
        self.assertRaises(ValueError, Standing, ["a"], {"b": "now"})
        self.assertEqual(Standing(["a", "b", "a"]).names, ("a", "b"))


class CursorFileTests(SynchronousTestCase):
    """
    L{CursorFile}.
    """

    def setUp(self) -> None:
        """
        Choose a file.
        """
        self.path = Path(self.mktemp())
        self.file = CursorFile(self.path)

    def test_places(self) -> None:
        """
        What was written is read again: one cursor for all names, or those of some.
        """
        self.assertIsNone(self.file.read("ab"))
        self.file.write(None)
        self.assertFalse(self.path.exists())
        standing = Standing("ab", {"a": str(at(3)), "b": "now"})
        self.assertIsNone(standing.encode())
        standing.opened(Envelope(at(5)))
        self.file.write(standing.encode())
        places = {"a": "k3f9a2-3", "b": "k3f9a2-5"}
        self.assertEqual(self.file.read("ab"), places)
        self.assertEqual(self.file.read("abc"), {**places, "c": "k3f9a2-5"})
        standing.reached(at(6))
        self.file.write(standing.encode())
        self.assertEqual(self.file.read("ab"), "k3f9a2-6")
        self.assertEqual([each.name for each in self.path.parent.iterdir()], [self.path.name])

    def test_writesOnce(self) -> None:
        """
        The same place is not written again.
        """
        self.file.write("k3f9a2-6")
        self.path.unlink()
        self.file.write("k3f9a2-6")
        self.assertFalse(self.path.exists())

    def test_refused(self) -> None:
        """
        A file with something else is refused by its name, rather than taken for no place.
        """
        for text in ("", "now", "k3f9a2", "{}", "[]", '{"since":1}', '{"since":"now"}', "{" * 99):
            self.path.write_text(text)
            error = self.assertRaises(ValueError, self.file.read, "a")
            self.assertIn(self.path.name, str(error))
        for raw in (b"\xff\xfe", b"x" * 2**19):
            self.path.write_bytes(raw)
            error = self.assertRaises(ValueError, self.file.read, "a")
            self.assertIn(self.path.name, str(error))
        self.assertRaises(ValueError, decodeSince, "x", "a")

    def test_noName(self) -> None:
        """
        A path without a name of its own is told as it was given.
        """
        for path in (".", "/", ""):
            error = self.assertRaises(ValueError, CursorFile, path)
            self.assertIn(f"the cursor file {path!r} is a directory", str(error))
