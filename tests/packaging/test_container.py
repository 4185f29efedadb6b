"""
The files for containers of the book start the server as it is.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from comet.server.commandline import Options
from comet.settings.configuration import Configuration
from tests.edge.server import ROOT

FOLDER: Final = ROOT / "docs" / "examples" / "container"


def listOf(text: str, after: str) -> list[str]:
    """
    Return a list in the form of JSON, behind the first match of a pattern.
    """
    found = re.search(rf"{after}\s*(\[.*\])$", text, re.MULTILINE)
    assert found is not None, after
    words: list[str] = json.loads(found[1])
    return words


class ContainerTests(SynchronousTestCase):
    """
    C{Containerfile} and C{compose.yaml}.
    """

    def setUp(self) -> None:
        """
        Read both files.
        """
        self.image = (FOLDER / "Containerfile").read_text()
        self.nodes = (FOLDER / "compose.yaml").read_text()

    def configured(self, *more: str) -> Configuration:
        """
        Return how the server of the image is configured.
        """
        program, *words = listOf(self.image, "ENTRYPOINT")
        self.assertEqual(program, "twistd")
        index = words.index("comet")
        self.assertEqual(words[:index], ["-n", "--pidfile="])
        options = Options()
        options.parseOptions([*words[index + 1 :], *more])
        return options.configuration

    def test_serves(self) -> None:
        """
        The server of the image serves where the image says, and where its health is
        asked for.
        """
        self.assertEqual(list(self.configured()["listen"]), ["tcp:8080"])
        self.assertIn("\nEXPOSE 8080\n", self.image)
        program, flag, script = listOf(self.image, r"HEALTHCHECK[^\[]*CMD")
        self.assertEqual((program, flag), ("python", "-c"))
        ast.parse(script)
        self.assertIn("'http://127.0.0.1:8080/health/live'", script)

    def test_hasNoRights(self) -> None:
        """
        It is an ordinary user's process, and the first one of its container.
        """
        lines = self.image.splitlines()
        self.assertIn("USER 10001", lines)
        self.assertIn("STOPSIGNAL SIGTERM", lines)
        self.assertFalse([each for each in lines if each.startswith(("CMD", "SHELL"))])

    def test_nodes(self) -> None:
        """
        The two nodes share Redis and a key, and are given longer to stop than they
        drain.
        """
        words = listOf(self.nodes, r"image: comet\s*command:")
        path = words.index("/run/secrets/comet.key")
        # On this machine the secret is elsewhere.
        words[path] = self.mktemp()
        Path(words[path]).write_text("0123456789abcdef")
        configuration = self.configured(*words)
        self.assertEqual(configuration["bus"], "redis://redis:6379/0")
        self.assertEqual(configuration["publish-key"], words[path])
        self.assertEqual(len(re.findall(r"^    <<: \*node$", self.nodes, re.MULTILINE)), 2)
        grace = re.search(r"^  stop_grace_period: (\d+)s$", self.nodes, re.MULTILINE)
        assert grace is not None
        self.assertGreater(int(grace[1]), configuration["drain"])
        for line in ("read_only: true", "cap_drop: [ALL]"):
            self.assertIn(f"  {line}\n", self.nodes)
