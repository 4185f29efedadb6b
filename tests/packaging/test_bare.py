"""
Tests of L{tests.packaging.bare}: what it finds in the texts.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.shell import Block
from tests.packaging.bare import README, found, readme, tutorial


def typed(blocks: tuple[Block, ...], kind: str) -> list[str]:
    """
    Return the commands of one kind.
    """
    return [each.text for block in blocks if block.kind == kind for each in block.commands]


class TextTests(SynchronousTestCase):
    """
    What a reader of the texts does.
    """

    def test_readme(self) -> None:
        """
        The README is followed with C{make} and without it, and all its commands are
        typed.
        """
        withMake, without = readme()
        self.assertIn("make", withMake.packages.split())
        self.assertNotIn("make", without.packages.split())
        self.assertEqual(typed(tuple(withMake.blocks), "serves")[0], "make run")
        self.assertEqual(len(without.preparations), 2)
        self.assertEqual(withMake.blocks[1:], without.blocks[1:])
        shown = [line for line in README.read_text("utf-8").splitlines() if line[:2] == "$ "]
        for text in (withMake, without):
            count = sum(len(block.commands) for block in text.blocks[1:])
            self.assertEqual(count, len(shown))

    def test_tutorial(self) -> None:
        """
        The tutorial is followed from its installation to its last page.
        """
        text = tutorial()
        self.assertIn("python3-venv", text.packages)
        self.assertIn("pip install .", text.preparations)
        servers = typed(tuple(text.blocks), "serves")
        self.assertEqual(servers[0], "twistd -n comet --demo")
        self.assertEqual(set(servers[1:]), {"python live.py", "python surviving.py"})
        self.assertTrue(all(block.kind in ("", "serves") for block in text.blocks))
        self.assertTrue(typed(tuple(text.blocks), ""))

    def test_otherText(self) -> None:
        """
        A text that does not say any more what is looked for is told.
        """
        self.assertRaises(SystemExit, found, "sudo dnf install", README.read_text("utf-8"))
