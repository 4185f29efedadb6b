"""
The file of the page about compression.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from comet.framing.compression import Compression
from comet.settings.configuration import Configuration, readFile

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


class CompressionTests(SynchronousTestCase):
    """
    C{compression.toml}.
    """

    def test_means(self) -> None:
        """
        The file means what the page says an application says to its hub.
        """
        configuration = Configuration({}, readFile(str(EXAMPLES / "compression.toml")))
        self.assertEqual(configuration.compression, Compression(500, (("prices/**", 0),)))
