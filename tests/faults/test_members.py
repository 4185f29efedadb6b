"""
Tests for L{tests.faults.members}: it finds what does not agree, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.edge.connections import Violation
from tests.edge.envelopes import Cursor, Message
from tests.faults.members import Snapshot, Told, check, readSnapshot, readTold


def told(position: int, event: str, client: str = "ada", info: Any = None) -> Told:
    """
    Make a message about a member.
    """
    return Told(Cursor("e1", position), event, client, info)


def seen(position: int, epoch: str = "e1", **infos: Any) -> Snapshot:
    """
    Make a snapshot.
    """
    return Snapshot("one", "room", Cursor(epoch, position), infos, dict.fromkeys(infos, 1), 0)


LOG = (
    told(2, "join"),
    told(4, "join", "bob"),
    told(5, "update", info=1),
    told(7, "leave", info=1),
    told(8, "join"),
)


class CheckTests(SynchronousTestCase):
    """
    L{check}.
    """

    def find(
        self, log: Sequence[Told], *snapshots: Snapshot, isWhole: bool = True
    ) -> Sequence[str]:
        """
        Return the texts of what is found.
        """
        found = list(check("room", log, snapshots, isWhole))
        self.assertEqual({each.kind for each in found} - {"member"}, set())
        return [each.text for each in found]

    def test_agrees(self) -> None:
        """
        Clients that come, change and go are right, and so are snapshots at each position.
        """
        snapshots = [
            seen(9, ada=None, bob=None),
            seen(1),
            seen(2, ada=None),
            seen(3, ada=None),
            seen(4, ada=None, bob=None),
            seen(6, ada=1, bob=None),
            seen(7, bob=None),
        ]
        self.assertEqual(self.find(LOG, *snapshots), [])
        self.assertEqual(self.find(()), [])

    def test_toldTwice(self) -> None:
        """
        A leave or a join that is told twice is found, and an update of a client that has
        left, or that shows the same.
        """
        for log in (
            (told(1, "join"), told(2, "join")),
            (told(1, "join"), told(2, "leave"), told(3, "leave")),
            (told(1, "leave"),),
            (told(1, "join"), told(2, "leave"), told(3, "update", info=2)),
            (told(1, "join"), told(2, "update")),
        ):
            self.assertEqual(len(self.find(log)), 1, log)

    def test_wrongSnapshots(self) -> None:
        """
        A snapshot that shows one too many, one too few, or something else of one, is found;
        those of another epoch are not compared.
        """
        for wrong in (
            seen(3),
            seen(4, ada=None),
            seen(6, ada=None, bob=None),
            seen(7, ada=1, bob=None),
            seen(20, bob=None),
        ):
            self.assertEqual(len(self.find(LOG, wrong)), 1, wrong)
        self.assertEqual(self.find(LOG, seen(3, "e2")), [])

    def test_earlierMembers(self) -> None:
        """
        Where members of another epoch were there, the first word about each may be any; not
        the second.
        """
        log = (told(1, "leave"), told(2, "update", "bob", 1), told(3, "leave", "bob"))
        self.assertEqual(self.find(log, seen(1), isWhole=False), [])
        self.assertEqual(len(self.find((*log, told(4, "leave")), isWhole=False)), 1)


def _bytes(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


class ReadingTests(SynchronousTestCase):
    """
    L{readTold} and L{readSnapshot}.
    """

    def test_reads(self) -> None:
        """
        A message and a snapshot are read.
        """
        message = Message("$presence/room", Cursor("e1", 2), {"client": "ada"}, "join")
        self.assertEqual(readTold(message), told(2, "join"))
        members = [{"client": "ada", "info": 1, "connections": 2, "since": 1.5}]
        body = {"cursor": "e1-3", "count": 1, "anonymous": 4, "members": members}
        self.assertEqual(
            readSnapshot("one", "room", _bytes(body)),
            Snapshot("one", "room", Cursor("e1", 3), {"ada": 1}, {"ada": 2}, 4),
        )

    def test_refuses(self) -> None:
        """
        Other messages are refused, and a snapshot that has not all members.
        """
        for event, data in (("other", {"client": "ada"}), ("join", {}), ("join", "ada")):
            message = Message("$presence/room", Cursor("e1", 2), data, event)
            self.assertRaises(Violation, readTold, message)
        body = _bytes({"cursor": "e1-3", "count": 1, "anonymous": 0, "members": []})
        self.assertRaises(Violation, readSnapshot, "one", "room", body)
