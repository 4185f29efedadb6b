"""
What C{comet presence} prints of what a server says, which may be anything.
"""

from __future__ import annotations

from datetime import datetime

from twisted.trial.unittest import SynchronousTestCase

from comet.client.received import readPresence
from comet.command.presencecommand import _lines


class PresenceTests(SynchronousTestCase):
    """
    The lines of members.
    """

    def lines(self, since: str) -> list[str]:
        """
        Return what is printed where a member came at a time.
        """
        member = b'{"client":"ad\\u001b[31m","info":"\\u009b","since":%s}' % since.encode()
        raw = b'{"cursor":"a-1","count":1,"anonymous":0,"members":[%s]}' % member
        return list(_lines(readPresence(raw)))

    def test_times(self) -> None:
        """
        A time that no calendar has is printed as a number.
        """
        known = datetime.fromtimestamp(1_700_000_000).astimezone().isoformat(" ", "seconds")
        self.assertIn(f"since {known}", self.lines("1700000000.25")[0])
        for since in ("1e308", "-1e308", "1e14", "-1e14", "18446744073709551615"):
            first, last = self.lines(since)
            self.assertIn("since ", first, since)
            self.assertEqual(last, "1 member, 0 anonymous")

    def test_controlCharacters(self) -> None:
        """
        Nothing that the server says reaches the terminal as a control character.
        """
        [line, _] = self.lines("1")
        shown = line.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
        self.assertTrue(shown.isprintable(), repr(shown))
