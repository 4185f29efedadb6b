"""
The field blocks of a client of HTTP/2, and what makes them malformed.

RFC 9113 8.1.1 has a malformed request end its stream.  h2 would end the
connection, so it is given no fields at all: L{FieldDecoder} keeps them for
L{readRequest}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve, frozen
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hpack import Decoder, HeaderTuple, HPACKError, OversizedHeaderListError
from hpack.hpack import decode_integer

from comet.errors import CometError, HeadTooLarge, MethodNotAllowed, URLTooLong
from comet.web.heads import MAX_FIELDS, MAX_FIELDS_SIZE

Field = tuple[bytes, bytes]

# RFC 9113 8.3.1: the pseudo-header fields of requests.
_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path"))

# RFC 9113 8.2.2: fields that speak of the connection.
_CONNECTION: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)

# RFC 9110 5.1 and RFC 9113 8.2.1: a token, without capital letters.
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")

# RFC 9113 8.2.1: what a value must not have at its ends.
_SPACES: Final = (b" ", b"\t")

# RFC 9110 9.1
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# What a client that asks for a tunnel may ask for instead.
_METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST")

# RFC 3986 3.1
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*")

# RFC 9113 8.3.1: an absolute path, without the characters that HTTP/1.1 has as
# the ends of targets and lines.
_PATH: Final = re.compile(rb"/[^\0-\x20\x7f#]*")

# RFC 9113 8.3.1: no user is named.
_AUTHORITY: Final = re.compile(rb"[^\0-\x20\x7f/?#@]+")

# RFC 9110 8.6: a larger length is too large for any server.
_LENGTH: Final = re.compile(rb"0*([0-9]+)")
_MOST_DIGITS: Final = 18

# Fields that one block may have.  A client can name ten thousand in as many bytes,
# and to decode them takes 50 ms.  A head that is a little too large is refused.
MOST_IN_BLOCK: Final = 2 * MAX_FIELDS

# RFC 7541 4.2: an encoder tells the smallest size that the table has had since the last
# block, and the size that it has now.  A client could tell thousands in one frame, and
# each takes 10 microseconds.
MOST_RESIZED: Final = 2

# Fields without which a refusal cannot be told: the host and the page.
_FOR_REFUSAL: Final = (b"host", b"origin")

# The ports that need not be named, by their schemes.
_PORTS: Final = {b"http": b":80", b"https": b":443"}


class Malformed(Exception):
    """
    A request that is malformed, RFC 9113 8.1.1.
    """


class CompressionFault(ProtocolError):
    """
    A field block that cannot be decoded, RFC 9113 4.3.
    """

    error_code = ErrorCodes.COMPRESSION_ERROR


class FieldDecoder(Decoder):
    """
    Decodes field blocks for h2, and keeps the fields of the last one until they
    are taken.
    """

    def __init__(self, most: int) -> None:
        """
        @param most: How many bytes the fields of one block may have in all, as
            RFC 9113 6.5.2 counts them.
        """
        super().__init__(most)
        self._fields: Sequence[Field] = ()

    def take(self) -> Sequence[Field]:
        """
        Return the fields of the last block, and keep them no longer.
        """
        fields, self._fields = self._fields, ()
        return fields

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """
        Decode a block.

        @return: Nothing, since h2 would end the connection over fields that are
            malformed.

        @raise CompressionFault: If it cannot be decoded.

        @raise OversizedHeaderListError: If there are too many fields.
        """
        try:
            checkResized(data)
            if hasMoreFields(data, MOST_IN_BLOCK):
                raise OversizedHeaderListError(f"a block has more than {MOST_IN_BLOCK} fields")
            self._fields = list(super().decode(data, raw=True))
        except OversizedHeaderListError:
            raise
        except (HPACKError, IndexError, TypeError) as error:
            raise CompressionFault(f"a field block cannot be decoded: {error}") from error
        return []


def checkResized(block: bytes) -> None:
    """
    Check how often a field block changes the size of the table, which it may do only at
    its beginning, RFC 7541 4.2.  The decoder refuses what stands behind a field.

    @raise HPACKError: If it does so more than L{MOST_RESIZED} times, or a number cannot be
        read.
    """
    place = count = 0
    while place < len(block) and block[place] & 0xE0 == 0x20:
        count += 1
        if count > MOST_RESIZED:
            raise HPACKError(f"the table is resized more than {MOST_RESIZED} times")
        # A size has a few bytes.
        place += decode_integer(block[place : place + 16], 5)[1]


def hasMoreFields(block: bytes, most: int) -> bool:
    """
    Whether a field block has more than so many fields, RFC 7541 6.  They are counted
    without decoding them.

    @raise HPACKError: If a number in the block cannot be read.
    """
    if len(block) <= most:
        # Each has a byte at least.
        return False
    view, place, count = memoryview(block), 0, 0

    def number(bits: int) -> int:
        nonlocal place
        value, size = decode_integer(view[place:], bits)
        place += size
        return value

    while place < len(block) and count <= most:
        first = block[place]
        if first & 0xE0 == 0x20:
            # A size of the table, which is no field.
            number(5)
            continue
        count += 1
        if first & 0x80:
            # A field of the table.
            number(7)
            continue
        for _ in range(1 if number(6 if first & 0x40 else 4) else 2):
            # The name, unless it is in the table, and the value.
            length = number(7)
            place += length
    return count > most


@frozen
class RequestHead:
    """
    The head of a request.

    @ivar method: The method.

    @ivar target: The path and the query, C{*}, or the authority of CONNECT.

    @ivar fields: The fields, lower case: C{host} first and once, C{cookie} and
        C{content-length} once at most.

    @ivar length: The declared length of the body in bytes, or L{None}.
    """

    method: bytes
    target: bytes
    fields: Sequence[Field]
    length: int | None

    def short(self) -> RequestHead:
        """
        Return the head without the fields that a request which is refused has no
        use for.
        """
        kept = [field for field in self.fields if field[0] in _FOR_REFUSAL]
        return evolve(self, fields=kept)


def readRequest(fields: Sequence[Field]) -> RequestHead:
    """
    Read the fields that begin a request.

    @raise Malformed: If they are no request.
    """
    pseudo: dict[bytes, bytes] = {}
    others: list[Field] = []
    cookies: list[bytes] = []
    lengths: set[int] = set()
    hosts: list[bytes] = []
    for name, value in fields:
        if name[:1] == b":":
            # RFC 9113 8.3: only those that are defined, each once, and first.
            if name not in _PSEUDO or name in pseudo or others or cookies or lengths or hosts:
                raise Malformed(f"the pseudo-header field {name!r} is unknown, repeated or late")
            if _isBad(value):
                raise Malformed(f"bad value {value!r} of {name!r}")
            pseudo[name] = value
            continue
        _check(name, value)
        if name == b"cookie":
            cookies.append(value)
        elif name == b"content-length":
            lengths.add(_readLength(value))
        elif name == b"host":
            hosts.append(value)
        else:
            others.append((name, value))
    if len(lengths) > 1:
        # RFC 9110 8.6
        raise Malformed("two lengths are declared")
    method, target = _readTarget(pseudo)
    kept = [(b"host", _readAuthority(pseudo, hosts)), *others]
    if cookies:
        # RFC 9113 8.2.3
        kept.append((b"cookie", b"; ".join(cookies)))
    length = lengths.pop() if lengths else None
    if length is not None:
        kept.append((b"content-length", b"%d" % length))
    return RequestHead(method, target, kept, length)


def refusalOf(head: RequestHead, maxLine: int) -> CometError | None:
    """
    Return why a request is refused by its head alone, or None if it is not.  The
    limits are those of HTTP/1.

    @param maxLine: How many bytes the first line of a request may have, if it
        were one of HTTP/1.
    """
    if head.method == b"CONNECT":
        # RFC 9113 8.5: the stream stays open for a tunnel, so that no end of the
        # request may be waited for.
        return MethodNotAllowed("this server is no proxy, CONNECT is not allowed", _METHODS)
    if len(head.method) + len(head.target) + len("  HTTP/1.1") > maxLine:
        return URLTooLong(f"the URL has more than about {maxLine} bytes, the most that is allowed")
    size = sum(len(name) + len(value) + len(": ") for name, value in head.fields)
    if size > MAX_FIELDS_SIZE or len(head.fields) > MAX_FIELDS:
        return HeadTooLarge(
            f"the request has more than {MAX_FIELDS} headers, or they have more than "
            f"{MAX_FIELDS_SIZE} bytes, the most that is allowed"
        )
    return None


def checkTrailers(fields: Iterable[Field]) -> None:
    """
    Check the fields that end a request.

    @raise Malformed: If they cannot do so.
    """
    for name, value in fields:
        # RFC 9113 8.1: a name with a colon is bad here.
        _check(name, value)


def _check(name: bytes, value: bytes) -> None:
    if not _NAME.fullmatch(name):
        raise Malformed(f"bad name {name!r} of a field")
    if _isBad(value):
        raise Malformed(f"bad value {value!r} of {name!r}")
    if name in _CONNECTION or (name == b"te" and value.lower() != b"trailers"):
        raise Malformed(f"{name!r} is not allowed in HTTP/2")


def _isBad(value: bytes) -> bool:
    """
    Whether a value is bad, RFC 9113 8.2.1.
    """
    # With a few hundred bytes a client can name the same large value in a hundred
    # fields: a regular expression took 40 times as long.
    if b"\0" in value or b"\r" in value or b"\n" in value:
        return True
    return value[:1] in _SPACES or value[-1:] in _SPACES


def _readLength(value: bytes) -> int:
    found = _LENGTH.fullmatch(value)
    if found is None:
        raise Malformed(f"bad length {value!r}")
    return int(found[1]) if len(found[1]) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _readTarget(pseudo: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """
    Return the method and the target.
    """
    method, scheme, path = (pseudo.get(name) for name in (b":method", b":scheme", b":path"))
    if method is None or not _METHOD.fullmatch(method):
        raise Malformed(f"bad method {method!r}")
    if method == b"CONNECT":
        # RFC 9113 8.5
        if scheme is not None or path is not None or b":authority" not in pseudo:
            raise Malformed("CONNECT has an authority, and neither a scheme nor a path")
        return method, pseudo[b":authority"]
    if scheme is None or not _SCHEME.fullmatch(scheme):
        raise Malformed(f"bad scheme {scheme!r}")
    isTarget = path is not None and _PATH.fullmatch(path)
    if path is None or not (isTarget or (method == b"OPTIONS" and path == b"*")):
        raise Malformed(f"bad path {path!r}")
    return method, path


def _readAuthority(pseudo: dict[bytes, bytes], hosts: Sequence[bytes]) -> bytes:
    """
    Return the authority, which overrides the field Host, RFC 9113 8.3.1.
    """
    named = [pseudo[b":authority"]] if b":authority" in pseudo else []
    if len(hosts) > 1 or not named + list(hosts):
        raise Malformed("a request names one authority, or has one field Host")
    port = _PORTS.get(pseudo.get(b":scheme", b"").lower(), b"")
    # RFC 9113 8.3.1 and RFC 3986 6.2: they are compared without regard to case
    # and to the port that the scheme implies.
    if len({each.lower().removesuffix(port) for each in [*named, *hosts]}) > 1:
        raise Malformed(f"the authority {named[0]!r} is not the Host {hosts[0]!r}")
    authority = [*named, *hosts][0]
    if not _AUTHORITY.fullmatch(authority):
        raise Malformed(f"bad authority {authority!r}")
    return authority
