"""
What one request asks for, and how it is answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from comet.fanout.reader import Opener, openReader
from comet.http.reads import ReadRequest, readAccount
from comet.http.request import MAX_PARAMETERS, RequestHead
from comet.http.responses import Headers
from comet.lean.parser import MEANT
from comet.metrics import Traffic
from comet.model.cursors import parseCursor
from comet.model.positions import At, StartPositions

# The kinds of what publishes.
PUBLISHING: Final = frozenset({"publish", "batch"})

# Where somebody begins who does not read, and what he has.
_NOW: Final = StartPositions()
NO_TAGS: Final[frozenset[str]] = frozenset()


class HeaderProfile:
    """
    The headers of a request, as far as they say what it asks for.

    @ivar plans: What is asked for, by the first line.
    """

    __slots__ = ("_values", "plans")

    def __init__(self, values: Sequence[bytes | None]) -> None:
        """
        @param values: Of each of L{MEANT}, in that order.
        """
        self._values = {
            name: (value,) for name, value in zip(MEANT, values, strict=True) if value is not None
        }
        self.plans: dict[bytes, Plan | None] = {}

    def __call__(self, name: bytes) -> Sequence[bytes]:
        """
        The values of a header, as L{RequestHead} asks for them.
        """
        return self._values.get(name.lower(), ())


class ParsedHeaders(NamedTuple):
    """
    A block of headers.

    @ivar profile: What they have in common with those of other requests.

    @ivar length: The value of C{Content-Length}, or L{None}.

    @ivar key: The value of C{Sec-WebSocket-Key}, or L{None}.

    @ivar tag: The cursor in C{If-None-Match}, if that is not in the profile.
    """

    profile: HeaderProfile
    length: bytes | None
    key: bytes | None
    tag: bytes | None


class ParsedRequest(NamedTuple):
    """
    What one request asks for.

    @ivar plan: All of it that it has in common with others.

    @ivar known: Its headers.

    @ivar since: Where it begins to read.

    @ivar tags: What the client has already, as L{ReadRequest.tags}.
    """

    plan: Plan
    known: ParsedHeaders
    since: StartPositions
    tags: frozenset[str]


class Plan:
    """
    What requests ask for that differ in nothing but cursors, and how they are
    answered.

    @ivar kind: C{poll}, C{endless}, C{websocket}, C{publish} or C{batch}.

    @ivar transport: Under which name it is counted.

    @ivar account: As L{readAccount} gives it.

    @ivar authorization: The value of C{Authorization}, or L{None}.

    @ivar head: The head of the request.

    @ivar names: The channels and patterns in its path.

    @ivar ask: What a request to read asks for, but for the cursors in L{ParsedRequest}.

    @ivar shape: How it is answered.

    @ivar own: Headers that the answer has for the page that asked.

    @ivar headers: What the head of an endless answer has.

    @ivar isBare: Whether it is a WebSocket that begins without names.

    @ivar answerEnd: The end of the answer to a handshake, once there was one.

    @ivar opener: How a reader is opened: at the join point of those that ask
        for the same, if that can be.

    @ivar traffic: Where it is counted, if that is known and not an account.

    @ivar mostBody: How many bytes there may be of what is published.

    @ivar described: Of what is published: the type, the event and the key.
    """

    __slots__ = (
        "account",
        "answerEnd",
        "ask",
        "authorization",
        "described",
        "head",
        "headers",
        "isBare",
        "kind",
        "mostBody",
        "names",
        "opener",
        "own",
        "shape",
        "traffic",
        "transport",
    )

    ask: ReadRequest
    shape: Any

    def __init__(self, kind: str, head: RequestHead, names: tuple[str, ...]) -> None:
        self.kind = kind
        self.transport = kind
        self.account = readAccount(head)
        self.authorization = head.header("Authorization")
        self.head = head
        self.names = names
        self.own: Headers = ()
        self.headers: Headers = ()
        self.isBare = False
        self.answerEnd = b""
        self.mostBody = 0
        self.opener: Opener = openReader
        self.traffic: Traffic | None = None
        self.described: tuple[str | None, str | None, str | None] = (None, None, None)

    def asked(self, known: ParsedHeaders, since: bytes | None) -> ParsedRequest:
        """
        What a request with these headers asks for.

        @param since: The cursor in the parameter C{since}, if that was cut out
            of its first line.
        """
        if self.isPublishing:
            return ParsedRequest(self, known, _NOW, NO_TAGS)
        ask, tag = self.ask, known.tag
        default, tags = ask.since.default, ask.tags
        # In the order in which they count, as L{readSince} has it.
        given = tag if since is None else since
        if given is not None and not self._isGiven(since is not None):
            default = At(parseCursor(given.decode("ascii")))
        if tag is not None:
            tags = frozenset({tag.decode("ascii")})
        return ParsedRequest(self, known, StartPositions(default, ask.since.byName), tags)

    def _isGiven(self, isParameter: bool) -> bool:
        """
        Whether something overrules a cursor.

        @param isParameter: Whether it is the one in the parameter.
        """
        if self.head.header("Last-Event-ID"):
            return True
        return not isParameter and bool(self.head.parameters.get("since"))

    @property
    def takesSince(self) -> bool:
        """
        Whether a parameter C{since} more would be the only one, and is not one
        too many.
        """
        head = self.head
        return "since" not in head.parameters and head.query.count(b"&") < MAX_PARAMETERS - 2

    @property
    def isPublishing(self) -> bool:
        """
        Whether its body is to be published.
        """
        return self.kind in PUBLISHING
