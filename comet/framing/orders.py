"""
Orders of an admin: to disconnect clients, and to revoke what they may do.  They come in
the bodies of requests, and as messages of the nodes' own channel, from which every node
takes them; both are checked alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from comet.errors import BadChannel, BadMessage, BadRequest
from comet.framing.strictjson import decode, decodeUnique, encode
from comet.model.channels import isReserved, parseName
from comet.model.clients import Client
from comet.model.state import MAX_KEY

# How many bytes an order may have, and how many channels and patterns it may name.
MAX_ORDER: Final = 16 * 1024
MAX_NAMES: Final = 32

# How many bytes a node may write of an order for the others: JSON has up to six for one.
MAX_PAYLOAD: Final = 4 * MAX_ORDER

# How many characters the name of a client and the identifier of a token may have: as
# many as a token may give them.
MAX_SUBJECT: Final = 255

# The longest time for which something is revoked, in seconds: a hundred years.
MAX_SECONDS: Final = 100 * 365.25 * 86400

# A time that no clock will show, in seconds since 1970.
_MAX_TIME: Final = 253402300800.0

_DISCONNECT: Final = frozenset({"client", "token", "channels"})
_REVOKE: Final = _DISCONNECT | {"issuedBefore", "seconds"}


@frozen
class Order:
    """
    What is ordered, and about which clients.

    @ivar client: The name of the client; empty if one token is meant.

    @ivar token: The C{jti} of the token; empty if a client is meant.

    @ivar channels: The channels and patterns that are meant; if there are none, all.

    @ivar issuedBefore: See L{Revocation<comet.access.revocations.Revocation>}; L{None}
        for the time at which the order was stored.

    @ivar seconds: For how long it is in force; L{None} for ever.
    """

    client: str = ""
    token: str = ""
    channels: tuple[str, ...] = ()
    issuedBefore: float | None = None
    seconds: float | None = None

    def concerns(self, client: Client) -> bool:
        """
        Whether a client is the one that is meant, however it was known and whenever its
        token was made.
        """
        if self.token:
            return client.credentialID == self.token
        return client.name == self.client

    @property
    def fields(self) -> dict[str, Any]:
        """
        The order as a JSON object, without what it does not say.
        """
        fields = {
            "client": self.client or None,
            "token": self.token or None,
            "channels": list(self.channels) or None,
            "issuedBefore": self.issuedBefore,
            "seconds": self.seconds,
        }
        return {name: value for name, value in fields.items() if value is not None}


def readOrder(value: object, isRevoking: bool) -> Order:
    """
    Read an order.

    @param value: A JSON object.

    @param isRevoking: Whether it may have C{issuedBefore} and C{seconds}.

    @raise BadRequest: If it is not one.  The error says what is wrong.
    """
    if not isinstance(value, dict):
        raise BadRequest("an order is a JSON object with a member 'client' or 'token'")
    allowed = _REVOKE if isRevoking else _DISCONNECT
    for name in value:
        if name not in allowed:
            raise BadRequest(
                f"{name[:64]!r} is no member of this order: it may have "
                f"{', '.join(sorted(allowed))}"
            )
    if ("client" in value) == ("token" in value):
        raise BadRequest("an order names either a client or a token, and not both")
    return Order(
        _readSubject(value, "client"),
        _readSubject(value, "token"),
        _readNames(value),
        _readNumber(value, "issuedBefore", -_MAX_TIME, _MAX_TIME),
        _readNumber(value, "seconds", 0.001, MAX_SECONDS),
    )


def _readSubject(value: Mapping[str, Any], name: str) -> str:
    if name not in value:
        return ""
    text = value[name]
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_SUBJECT:
        raise BadRequest(f"{name!r} is a text of 1 to {MAX_SUBJECT} characters")
    return text


def _readNames(value: Mapping[str, Any]) -> tuple[str, ...]:
    if "channels" not in value:
        return ()
    names = value["channels"]
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_NAMES:
        raise BadRequest(
            f"'channels' is a list of 1 to {MAX_NAMES} channels and patterns; leave it out if "
            "all are meant"
        )
    for name in names:
        if not isinstance(name, str):
            raise BadRequest("each of 'channels' is a text")
        try:
            parseName(name)
        except BadChannel as error:
            raise BadRequest(f"one of 'channels' is not valid: {error.detail}") from None
        if isReserved(name) and not name.startswith("$presence/"):
            raise BadRequest(f"{name[:64]!r} is the server's own: no token has a right to it")
    return tuple(dict.fromkeys(names))


def _readNumber(value: Mapping[str, Any], name: str, least: float, most: float) -> float | None:
    if name not in value:
        return None
    number = value[name]
    if type(number) not in (int, float) or not math.isfinite(number):
        raise BadRequest(f"{name!r} is a finite number of seconds")
    if not least <= number <= most:
        raise BadRequest(f"{name!r} is {number:g}; {least:g} to {most:g} are allowed")
    return float(number)


def readOrderBody(body: bytes, isRevoking: bool) -> Order:
    """
    Read an order from the body of a request.

    @raise BadMessage: If it is no JSON.

    @raise BadRequest: If it is no order, says something twice, or has more than L{MAX_ORDER}
        bytes.
    """
    if len(body) > MAX_ORDER:
        raise BadRequest(f"an order has at most {MAX_ORDER} bytes")
    return readOrder(decodeUnique(body, 4), isRevoking)


def encodeOrder(order: Order, id: str) -> bytes:
    """
    Encode an order as the payload of a message.

    @param id: Identifies the order.
    """
    return encode({"id": id, **order.fields})


def readOrderPayload(payload: bytes, isRevoking: bool) -> tuple[str, Order]:
    """
    Read what L{encodeOrder} has made.

    @return: The id and the order.

    @raise BadRequest: If it has made no such payload.
    """
    id, fields = readPayload(payload)
    return id, readOrder(fields, isRevoking)


def readPayload(payload: bytes) -> tuple[str, dict[str, Any]]:
    """
    Read the payload of a message that is about an order.

    @return: The id of the order, and the other members.

    @raise BadRequest: If it is not one.
    """
    if len(payload) > MAX_PAYLOAD:
        raise BadRequest(f"an order of the nodes has at most {MAX_PAYLOAD} bytes")
    try:
        value = decode(payload, 4)
    except BadMessage as error:
        raise BadRequest(error.detail) from None
    id = value.pop("id", None) if isinstance(value, dict) else None
    if not isinstance(id, str) or not 1 <= len(id) <= MAX_KEY:
        raise BadRequest(f"an order of the nodes has an id of 1 to {MAX_KEY} characters")
    return id, value
