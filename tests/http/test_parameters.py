"""
Tests of L{comet.http.parameters}.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.http.origins import CORS, Origins
from comet.http.parameters import (
    MAX_UNKNOWN,
    PARAMETERS,
    SINGLE,
    WARNING,
    responseHeaders,
    warningOf,
)
from tests.edge.server import ROOT
from tests.http.heads import makeHead

NOBODY = CORS(None, False, True)
FRIEND = CORS("https://friend.example", True, True)


def warn(query: str) -> str:
    """
    Return the warning about a query.
    """
    return warningOf(makeHead(query.encode("utf-8")))


class WarningTests(SynchronousTestCase):
    """
    L{warningOf}.
    """

    def test_namesWhatIsMeant(self) -> None:
        """
        An unknown parameter that is nearly a known one is told with that.
        """
        self.assertEqual(
            warn("transprot=sse&since=now"), "'transprot' is unknown; did you mean 'transport'?"
        )
        self.assertEqual(
            warn("Since=now&limt=5"),
            "'Since' is unknown; did you mean 'since'?, 'limt' is unknown; did you mean 'limit'?",
        )

    def test_isSilentOtherwise(self) -> None:
        """
        There is no warning about known parameters, about others that are unlike
        them, or about a query that cannot be read.
        """
        known = "&".join(f"{key}=1" for key in PARAMETERS)
        for query in ("", known, "since.sinse=-1", "_=17&t=1&cachebuster=2", "sinse=%ff"):
            self.assertEqual(warn(query), "")
        self.assertEqual(warn("sinse=1&" + "&".join(f"x{n}=1" for n in range(300))), "")

    def test_looksAtFew(self) -> None:
        """
        The time that a query takes is bounded, however many parameters it has.
        """
        unknown = "&".join(f"x{n}=1" for n in range(MAX_UNKNOWN))
        self.assertEqual(warn(f"{unknown}&sinse=1"), "")
        self.assertEqual(warn("&".join(f"{key}s=1" for key in PARAMETERS)).count("mean"), 3)

    @given(st.sampled_from(PARAMETERS), st.text(max_size=3), st.integers(0, 14))
    def test_isAHeader(self, word: str, text: str, at: int) -> None:
        """
        A warning is ASCII of bounded length without control characters, whatever
        the parameter has.
        """
        query = quote(word[:at] + text + word[at:])
        warning = warn(f"{query}=1&{query}x=1&x{query}=1")
        self.assertRegex(warning, r"\A[ -~]*\Z")
        self.assertLess(len(warning), 600)

    def test_escapes(self) -> None:
        """
        A line end within a parameter ends no header.
        """
        self.assertEqual(warn("limit%0d%0a=1"), r"'limit\r\n' is unknown; did you mean 'limit'?")

    def test_knowsAll(self) -> None:
        """
        All parameters that the package reads are known, and no others.
        """
        read = set()
        for path in (ROOT / "comet").rglob("*.py"):
            text = path.read_text("utf-8")
            read |= set(re.findall(r'parameters(?:\.get\(|\[)"([^"]+)"', text))
            read |= set(re.findall(r'"([^"]+)" (?:not )?in (?:\w+\.)*head\.parameters', text))
            read |= set(re.findall(r'readFlag\(head, "([^"]+)"', text))
        read |= {key for key in PARAMETERS if key.lower().replace("_", "-") == "last-event-id"}
        self.assertEqual(read | {"lastEventId", "lastEventID"}, set(PARAMETERS))
        self.assertIn(f'f"{SINGLE}{{name}}"', (ROOT / "comet/http/reads.py").read_text("utf-8"))


class HeadersTests(SynchronousTestCase):
    """
    L{responseHeaders}.
    """

    origins = Origins(["https://friend.example"])

    def test_warns(self) -> None:
        """
        The headers have the warning, which a page of an allowed origin may read.
        """
        head = makeHead(b"sinse=now")
        warning = (WARNING, b"'sinse' is unknown; did you mean 'since'?")
        self.assertEqual(responseHeaders(head, self.origins, NOBODY), (warning,))
        headers = responseHeaders(head, self.origins, FRIEND)
        self.assertEqual(headers[-1], warning)
        exposed = dict(headers)[b"Access-Control-Expose-Headers"]
        self.assertEqual(exposed, b"ETag, Retry-After, Comet-Warning")

    def test_isCORSOtherwise(self) -> None:
        """
        Without a warning there are the headers of CORS alone.
        """
        head = makeHead(b"since=now")
        self.assertEqual(responseHeaders(head, self.origins, NOBODY), ())
        expected = self.origins.headers(FRIEND)
        self.assertEqual(responseHeaders(head, self.origins, FRIEND), expected)
