"""
Tests of L{comet.command.tomllines}.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from comet.command.tomllines import lineOfKey

FILE = """\
# heartbeat = 1
heartbeat = 2 # listen

listen = [
  "heartbeat = 3",
  # max-depth = 4
]
text = '''
max-depth = 5
'''
max-depth = 6
[channels."chat/**"]

presence = true
hooks = ["publish",
  "subscribe"]
[channels]
"a.b" = {presence = false}
[other.table]
"""

# Statements of one key, each with the number of its lines.
STATEMENTS = (("= 1", 1), ("= [\n1,\n\n2]", 4), ("= '''\nk1 = 2\n\n'''", 4), ("= {a = 1}", 1))


class LineTests(SynchronousTestCase):
    """
    L{lineOfKey}.
    """

    def test_finds(self) -> None:
        """
        A key is on the first line of its statement, at the top and in tables, whatever
        comments and texts say.
        """
        for key, line in (
            (("heartbeat",), 2),
            (("listen",), 4),
            (("text",), 8),
            (("max-depth",), 11),
            (("channels",), 12),
            (("channels", "chat/**"), 12),
            (("channels", "chat/**", "presence"), 14),
            (("channels", "chat/**", "hooks"), 15),
            (("channels", "a.b", "presence"), 18),
            (("other", "table"), 19),
        ):
            self.assertEqual(lineOfKey(FILE, key), line, key)

    def test_lineEnds(self) -> None:
        """
        Files may have the line ends of Windows, and none at the end.
        """
        self.assertEqual(lineOfKey(FILE.replace("\n", "\r\n"), ("max-depth",)), 11)
        self.assertEqual(lineOfKey("a = 1\nb = 2", ("b",)), 2)
        self.assertEqual(lineOfKey("a = [\n1]", ("a",)), 1)

    def test_absent(self) -> None:
        """
        A key that the file does not have is on no line.
        """
        for key in ((), ("presence",), ("heartbeat", "x"), ("channels", "x")):
            self.assertIsNone(lineOfKey(FILE, key))

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(lists(sampled_from(STATEMENTS), min_size=1, max_size=8), integers(0, 7))
    def test_any(self, statements: list[tuple[str, int]], chosen: int) -> None:
        """
        The line is that before which all the statements before it end.
        """
        chosen %= len(statements)
        text = "\n".join(f"k{index} {value}" for index, (value, _) in enumerate(statements))
        before = sum(size for _, size in statements[:chosen])
        self.assertEqual(lineOfKey(text, (f"k{chosen}",)), before + 1)
