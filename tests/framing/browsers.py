"""
Readers of the formats that browsers read: parts, pages and scripts.  They are
written from the standards, without code of L{comet}.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

# ECMA-262 12.7, without the letters beyond ASCII.
CALL = re.compile(r"([A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*)\((.*)\);?", re.ASCII | re.DOTALL)

# Text that is easily confused with what surrounds it in some format.
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "-->",
    "]]>",
    "\n--> x",
    "'\");alert(1)//",
    "\\",
    "\u2028\u2029",
    "--_comet-next-part--",
    "\r\n--_comet-next-part\r\n",
    "_comet-next-part",
    "\\_comet-next-part",
    "__comet-next-part",
    "_comet-next-par",
    '{"__proto__":1}',
    ',"__proto__":',
)


class Part(NamedTuple):
    """
    A part of a multipart body.
    """

    headers: dict[str, str]
    body: bytes


class PartsReader:
    """
    Reads a multipart body by RFC 2046 5.1.1, in any pieces.  The body may start
    with its first boundary, without a preamble.

    @ivar parts: The parts that have ended.  A part ends with the line of the
        next delimiter.

    @ivar ended: Whether the close delimiter was there.
    """

    def __init__(self, boundary: bytes) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._delimiter = b"\r\n--" + boundary
        # The line break before the first delimiter may be absent.
        self._rest = b"\r\n"
        self._isFirst = True

    def feed(self, data: bytes) -> None:
        """
        Take the next piece.
        """
        self._rest += data
        while not self.ended and self._delimiter in self._rest:
            part, behind = self._rest.split(self._delimiter, 1)
            if len(behind) < 2:
                return
            assert behind[:2] in (b"\r\n", b"--"), behind[:20]
            if self._isFirst:
                assert part == b"", part
                self._isFirst = False
            else:
                self._ended(part)
            self.ended = behind.startswith(b"--")
            # If a part has neither a header nor a body, the line break belongs
            # to the next delimiter, too.
            self._rest = behind if not self.ended else behind[2:]
        assert not self.ended or b"\r\n".startswith(self._rest)

    def _ended(self, part: bytes) -> None:
        head, blank, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        assert blank, part
        headers = dict(line.split(": ", 1) for line in head.decode("ascii").split("\r\n"))
        self.parts.append(Part(headers, body))


class Call(NamedTuple):
    """
    A script that calls a function.
    """

    function: str
    arguments: list[Any]


def readCall(script: str) -> Call:
    """
    Read a script that calls a function with JSON, in which keys may be
    computed.
    """
    # ECMA-262 12.3 and B.1.1: none of these ends a line, and so no comment
    # can begin with C{-->}.
    assert not re.search("[\n\r\u2028\u2029]", script), script
    found = CALL.fullmatch(script)
    assert found is not None, script
    arguments = re.sub(r'(?<=[{,])\[("[^"\\]*")\]:', r"\1:", found[2])
    return Call(found[1], json.loads(f"[{arguments}]"))


class PageReader:
    """
    Reads the scripts of a page as the tokenizer of WHATWG HTML 13.2.5 does, in
    any pieces.

    @ivar calls: The calls of the scripts so far.

    @ivar tags: The other tags, in lower case.

    @ivar text: The text between the tags.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.tags: list[str] = []
        self.text = ""
        self._rest = b""
        self._isScript = False

    def feed(self, data: bytes) -> None:
        """
        Take the next piece.
        """
        self._rest += data
        while self._readScript() if self._isScript else self._readTag():
            pass

    def _readScript(self) -> bool:
        # 13.2.5.4: only this character starts the end tag of a script, or a
        # comment that hides it.
        script, found, behind = self._rest.partition(b"<")
        if not found or len(behind) < len(b"/script>"):
            return False
        assert behind.startswith(b"/script>"), behind[:20]
        self.calls.append(readCall(script.decode("utf-8").removesuffix(";")))
        self._rest = behind[len(b"/script>") :]
        self._isScript = False
        return True

    def _readTag(self) -> bool:
        text, found, behind = self._rest.partition(b"<")
        tag, closed, after = behind.partition(b">")
        if not found or not closed:
            return False
        self.text += text.decode("utf-8")
        self._rest = after
        name = tag.decode("ascii").lower()
        self._isScript = name == "script"
        if not self._isScript:
            self.tags.append(name)
        return True
