"""
Read what was made for the script engine of a browser: the calls of JSONP and of the forever frame.

Nothing is run.  A call has to be, byte for byte, of the form in which comet writes it, and its
argument has to be JSON, but for the one key that comet writes in another way.
"""

from __future__ import annotations

from typing import Final

from comet.client.failures import BadAnswer
from comet.client.splitting import Lines

#: The function that the client asks the server to call.
CALLBACK: Final = "comet"

_NAME: Final = CALLBACK.encode("ascii")
_SCRIPT: Final = (b"/**/" + _NAME + b"(", b");")
_ELEMENT: Final = (b"<script>parent." + _NAME + b"(", b");</script>")

# The most bytes of a page before its first script.  The server fills 4,096.
_MOST_HEAD: Final = 65536

# What a page has that is no forever frame: its scripts and its end.
_FOREIGN: Final = (b"<script", b"</body", b"</html")


def readCall(script: bytes) -> bytes:
    """
    Read the answer to a poll by JSONP.

    @return: The poll body: JSON.

    @raise BadAnswer: If it is not a call of L{CALLBACK} and nothing else.
    """
    body = script.removesuffix(b"\n")
    return _argument(body, *_SCRIPT)


class ScriptSplitter:
    """
    Cuts a forever frame into the envelopes that it hands to the page around it.
    """

    def __init__(self) -> None:
        self._lines = Lines()
        # How many bytes of the head of the page have come; L{None} from the first script on.
        self._head: int | None = 0

    def received(self, data: bytes) -> list[bytes]:
        """
        See L{Splitter.received<comet.client.splitting.Splitter.received>}.

        @raise BadAnswer: Also if something else than a script of the server comes.
        """
        texts: list[bytes] = []
        for line in self._lines.received(data):
            if line.startswith(_ELEMENT[0]):
                self._head = None
                texts.append(_argument(line, *_ELEMENT))
            elif self._head is not None:
                self._headCame(line)
            elif line:
                raise BadAnswer(f"{line[:64]!r} is not a script of a forever frame")
        if self._head is not None and self._head + self._lines.size > _MOST_HEAD:
            raise BadAnswer(f"the page has more than {_MOST_HEAD} bytes before its first script")
        return texts

    def _headCame(self, line: bytes) -> None:
        assert self._head is not None
        self._head += len(line) + 1
        lower = line.lower()
        if any(each in lower for each in _FOREIGN):
            raise BadAnswer("the page is not a forever frame")


def _argument(call: bytes, before: bytes, behind: bytes) -> bytes:
    """
    Return the argument of a call as JSON.
    """
    isCall = call.startswith(before) and call.endswith(behind)
    argument = call[len(before) : -len(behind)] if isCall else b""
    # The server escapes it: it could begin another element.
    if not argument or b"<" in argument:
        raise BadAnswer(f"{call[:64]!r} is not a call of {CALLBACK}")
    # So that the key does not set a prototype.  Within a string a quote has a backslash before
    # it, and outside of strings JSON has no bracket between a key and its colon.
    return argument.replace(b'["__proto__"]:', b'"__proto__":')
