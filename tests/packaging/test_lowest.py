"""
The lowest versions that are tested are those that C{setup.cfg} states.
"""

from __future__ import annotations

import ast
import re
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]


class LowestTests(SynchronousTestCase):
    """
    C{setup.cfg} beside C{tests/constraints-lowest.txt}.
    """

    def test_constraintsAreTheLowestVersions(self) -> None:
        """
        The constraints hold each package that comet needs, also for HTTP/2, Redis,
        tokens, hooks and the command, at its lowest version, and no other package.
        """
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg", "utf-8")
        extras = setup["options.extras_require"]
        needed = setup["options"]["install_requires"] + "".join(
            extras[name]
            for name in ("http2", "redis", "tokens", "hooks", "cli", "client", "metrics")
        )
        stated = dict(re.findall(r"^([\w.-]+) >= ([\d.]+)", needed, re.MULTILINE))
        constraints = (ROOT / "tests" / "constraints-lowest.txt").read_text("utf-8")
        tried = dict(re.findall(r"^([\w.-]+)==([\d.]+)$", constraints, re.MULTILINE))
        self.assertIn("twisted", stated)
        self.assertEqual(tried, stated)


class LowestPythonTests(SynchronousTestCase):
    """
    What a module that Python 3.10 cannot load would have.
    """

    def test_namedTuplesAreNotGeneric(self) -> None:
        """
        No named tuple has a second base: Python 3.10 refuses that when the module is loaded,
        and neither mypy nor ruff tells.
        """
        found = [
            f"{path.relative_to(ROOT)}: {node.name}"
            for path in sorted((ROOT / "comet").rglob("*.py"))
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ClassDef) and len(node.bases) > 1
            if any(isinstance(base, ast.Name) and base.id == "NamedTuple" for base in node.bases)
        ]
        self.assertEqual(found, [])
