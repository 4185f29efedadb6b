"""
Tests of L{comet.client.scriptcalls}.
"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.client import splitting
from comet.client.failures import BadAnswer
from comet.client.scriptcalls import CALLBACK, ScriptSplitter, readCall
from comet.framing.iframe import IFrameShape
from comet.framing.jsonp import encodeCall
from comet.framing.strictjson import encode
from tests.client.test_splitting import split

SHAPE = IFrameShape(callback=CALLBACK, chunked=False)
HEAD = b"<!DOCTYPE html>\n<html>\n<body>\n" + b" " * 100 + b"\n"
SCRIPT = b"<script>parent.comet(%b);</script>\n"
PAGE = HEAD + SCRIPT % b'{"a":1}' + b"\n" + SCRIPT % b'{["__proto__"]:1}' + SCRIPT[:20]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.sampled_from(["__proto__", '["__proto__"]:']), inner)
    ),
    max_leaves=8,
)


class CallTests(SynchronousTestCase):
    """
    L{readCall}.
    """

    @settings(deadline=None)
    @given(VALUES)
    def test_server(self, value: object) -> None:
        """
        What the server writes is read, whatever keys and texts are in it.
        """
        found = readCall(encodeCall(CALLBACK, encode(value)))
        self.assertEqual(json.loads(found), value)

    def test_strict(self) -> None:
        """
        Anything but one call of the function is refused.
        """
        self.assertEqual(readCall(b"/**/comet({});\n"), b"{}")
        for script in (
            b"",
            b"{}",
            b"comet({});",
            b"/**/comet();",
            b"/**/comet({})",
            b"/**/comet({});;\n\n",
            b"/**/comets({});",
            b"/**/parent.comet({});",
            b" /**/comet({});",
            b"/**/comet({}<!--);",
        ):
            self.assertRaises(BadAnswer, readCall, script)


class ScriptTests(SynchronousTestCase):
    """
    L{ScriptSplitter}.
    """

    def test_everySplit(self) -> None:
        """
        What is found does not depend on how the network cuts the page.
        """
        for size in range(1, len(PAGE) + 1):
            pieces = [PAGE[at : at + size] for at in range(0, len(PAGE), size)]
            self.assertEqual(split(ScriptSplitter, *pieces), [b'{"a":1}', b'{"__proto__":1}'])

    def test_strict(self) -> None:
        """
        Another page, and a page with anything but the server's scripts, is refused.
        """
        for page in (
            b"<html><body>Log in</body></html>\n",
            HEAD + b"<SCRIPT src=x>\n",
            HEAD + b"<script>alert(1)</script>\n",
            HEAD + b"<script>parent.comets({});</script>\n",
            HEAD + b"<script>parent.comet({})</script>\n",
            HEAD + b"<script>parent.comet();</script>\n",
            HEAD + b" <script>parent.comet({});</script>\n",
            HEAD + b'<script>parent.comet({"a":"</script>"});</script>\n',
            HEAD + b"<script>parent.comet({});</script><script>parent.comet({});</script>\n",
            HEAD + SCRIPT % b"{}" + b"<p>\n",
            HEAD + SCRIPT % b"{}" + b"</body></html>\n",
            b"\n" * 70000,
            b" " * 70000,
        ):
            self.assertRaises(BadAnswer, split, ScriptSplitter, page)

    def test_bounded(self) -> None:
        """
        A script has a bounded size.
        """
        self.patch(splitting, "MAX_BYTES", 2**12)
        splitter = ScriptSplitter()
        splitter.received(HEAD + SCRIPT[:20])
        self.assertRaises(BadAnswer, splitter.received, b" " * 2**13)

    @settings(deadline=None)
    @given(st.lists(VALUES), st.integers(1, 3000))
    def test_server(self, values: list[object], size: int) -> None:
        """
        What the server writes is read.
        """
        page = SHAPE.prelude + SHAPE.frame([SHAPE.piece(encode(each)) for each in values])
        pieces = [page[at : at + size] for at in range(0, len(page), size)]
        self.assertEqual([*map(json.loads, split(ScriptSplitter, *pieces))], values)
