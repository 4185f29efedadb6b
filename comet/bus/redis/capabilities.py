"""
What Redis tells of itself when a link begins: whether it can be used, and what
it promises to keep.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve, frozen
from twisted.internet.defer import FirstError, gatherResults
from twisted.python.failure import Failure

from comet.bus.redis.protocol import RedisConnectionLost, RedisProtocol, RedisRefused
from comet.bus.redis.scripts import ALL
from comet.errors import CometError

# The oldest version of Redis with all that the scripts need.
OLDEST: Final = (7, 0)

# What it is set to if everything is on the disk before it is answered.
_DURABLE: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
}
_SETTINGS: Final = (*_DURABLE, "maxmemory-policy")

# What Redis says to whom it does not let in.
_DENIALS: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


class CannotUse(CometError):
    """
    Redis cannot be used, and will not be before somebody changes something.
    """


@frozen
class Capabilities:
    """
    A Redis that can be used.

    @ivar run: The name of its run: another after each start.

    @ivar isDurable: Whether it has on disk whatever it has answered.

    @ivar hasProof: Whether it has begun with all that it had on disk, and is
        no replica that took the place of another.

    @ivar policy: What it does when it is full, or empty if that is not known.
    """

    run: str
    isDurable: bool
    hasProof: bool
    policy: str


async def greet(
    connection: RedisProtocol, username: str, password: str | None, db: int = 0
) -> dict[bytes, Any]:
    """
    Log in, and speak RESP3 from then on.

    @return: What C{HELLO} answers.

    @raise CannotUse: If it does not let us in, or is too old.
    """
    login = [] if password is None else ["AUTH", username or "default", password]
    try:
        hello = await connection.command("HELLO", 3, *login, "SETNAME", "comet")
        if db:
            await connection.command("SELECT", db)
    except RedisRefused as error:
        if error.code in _DENIALS:
            raise CannotUse(
                f"Redis does not let us in ({error}); the URL of the bus carries the user and the "
                "password: redis://user:password@host"
            ) from None
        if "unknown command" in str(error) or error.code == "NOPROTO":
            raise CannotUse(f"Redis is too old ({error}): 7.0 is the oldest allowed") from None
        if "DB index" in str(error):
            raise CannotUse(f"Redis has no database {db} ({error})") from None
        raise
    if not isinstance(hello, dict):
        raise RedisConnectionLost("that is not Redis: its greeting is of another form")
    return hello


def checkGreeting(hello: dict[bytes, Any]) -> None:
    """
    Check what Redis greets with.

    @raise CannotUse: If it is of a kind that cannot be used.

    @raise RedisConnectionLost: If it is not the one that it should be, for now.
    """
    text = _text(hello.get(b"version"))
    numbers = text.split(".")
    version = tuple(int(each) for each in numbers[:2] if each.isdigit())
    if version < OLDEST:
        raise CannotUse(f"this is Redis {text[:32]!r}: 7.0 is the oldest allowed")
    mode = _text(hello.get(b"mode"))
    if mode == "cluster":
        raise CannotUse(
            "this is a Redis Cluster: the order of all messages needs a single Redis, with or "
            "without sentinels"
        )
    if mode == "sentinel":
        raise CannotUse(
            "this is a sentinel: redis+sentinel://host:port/service asks it where Redis is"
        )
    if _text(hello.get(b"role")) != "master":
        raise RedisConnectionLost("this Redis is a replica: nothing can be stored in it")


async def inspect(connection: RedisProtocol, isNamed: bool) -> Capabilities:
    """
    Ask what it promises, and give it the scripts.

    @param isNamed: Whether the address is that of one Redis, and not of
        whichever has been chosen last.

    @raise CannotUse: If it does not let us do what is needed.
    """
    # All is sent before anything is answered.
    info = connection.command("INFO", "server", "replication", "persistence")
    config = connection.command("CONFIG", "GET", *_SETTINGS)
    loaded = [connection.command("SCRIPT", "LOAD", each.source) for each in ALL]
    # Not everybody may ask for that.
    config.addErrback(_nothing)
    try:
        found, config, *_ = await gatherResults([info, config, *loaded], consumeErrors=True)
    except FirstError as error:
        cause = error.subFailure.value
        if isinstance(cause, RedisRefused):
            raise refusal(cause) from None
        error.subFailure.raiseException()
    facts = _facts(_text(found))
    settings = _settings(config)
    isDurable = _isDurable(settings)
    hasProof = (
        isNamed
        and isDurable
        and facts.get("role") == "master"
        # A replica that was promoted has the past of the master before it.
        and set(facts.get("master_replid2", "?")) == {"0"}
    )
    return Capabilities(
        facts.get("run_id", ""), isDurable, hasProof, settings.get("maxmemory-policy", "")
    )


async def recheck(connection: RedisProtocol, server: Capabilities) -> Capabilities:
    """
    Ask again for what may be changed while it runs.
    """
    try:
        settings = _settings(await connection.command("CONFIG", "GET", *_SETTINGS))
    except RedisRefused:
        settings = {}
    return evolve(server, isDurable=_isDurable(settings))


def refusal(error: RedisRefused) -> Exception:
    """
    What a refusal during the beginning means.
    """
    if error.code in _DENIALS or "user executing the script" in str(error):
        return CannotUse(f"Redis does not let this user do what is needed ({error})")
    return error


def _nothing(failure: Failure) -> dict[bytes, bytes]:
    failure.trap(RedisRefused)
    return {}


def _settings(config: object) -> dict[str, str]:
    """
    Read the answer to C{CONFIG GET}.
    """
    if not isinstance(config, dict):
        return {}
    return {_text(name): _text(value) for name, value in config.items()}


def _isDurable(settings: dict[str, str]) -> bool:
    """
    Whether everything is on the disk before it is answered.
    """
    return {name: settings.get(name) for name in _DURABLE} == _DURABLE


def _facts(info: str) -> dict[str, str]:
    """
    Read the answer to C{INFO}.
    """
    pairs = (line.partition(":") for line in info.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
