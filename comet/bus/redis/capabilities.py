"""
Finds out, when a connection begins, whether comet can use a Redis, and what
that promises to keep.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve, frozen
from twisted.internet.defer import FirstError, gatherResults
from twisted.python.failure import Failure

from comet.bus.redis.protocol import RedisConnectionLost, RedisProtocol, RedisRefused
from comet.bus.redis.scripts import ALL
from comet.errors import CometError

# The oldest version of Redis that can run the scripts.
OLDEST: Final = (7, 0)

# The settings of a Redis that has everything on the disk before it answers.
_DURABLE: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
}
_SETTINGS: Final = (*_DURABLE, "maxmemory-policy")

# The codes with which Redis denies access.
_DENIALS: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


class CannotUse(CometError):
    """
    Redis cannot be used until the operator changes something.
    """


@frozen
class Capabilities:
    """
    What a Redis that can be used promises.

    @ivar run: The ID of its run, which is new after each start.

    @ivar isDurable: Whether everything that it has answered is on its disk.

    @ivar hasProof: Whether it has started with everything that it had on its
        disk, and is not a replica that took the place of another.

    @ivar policy: Its maxmemory-policy, or empty if that is not known.
    """

    run: str
    isDurable: bool
    hasProof: bool
    policy: str


async def greet(
    connection: RedisProtocol, username: str, password: str | None, db: int = 0
) -> dict[bytes, Any]:
    """
    Log in, and switch to RESP3.

    @return: The reply to C{HELLO}.

    @raise CannotUse: If Redis denies access, or is too old.
    """
    login = [] if password is None else ["AUTH", username or "default", password]
    try:
        hello = await connection.command("HELLO", 3, *login, "SETNAME", "comet")
        if db:
            await connection.command("SELECT", db)
    except RedisRefused as error:
        if error.code in _DENIALS:
            raise CannotUse(
                f"Redis denies access ({error}); the URL of the bus has to carry the user and the "
                "password: redis://user:password@host"
            ) from None
        if "unknown command" in str(error) or error.code == "NOPROTO":
            raise CannotUse(f"Redis is too old ({error}): 7.0 is the oldest allowed") from None
        if "DB index" in str(error):
            raise CannotUse(f"Redis has no database {db} ({error})") from None
        raise
    if not isinstance(hello, dict):
        raise RedisConnectionLost("this is not Redis: its greeting has another form")
    return hello


def checkGreeting(hello: dict[bytes, Any]) -> None:
    """
    Check the reply to C{HELLO}.

    @raise CannotUse: If this kind or version of Redis cannot be used.

    @raise RedisConnectionLost: If it cannot be used for now: it is a replica.
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
    Ask a Redis what it promises, and load the scripts into it.

    @param isNamed: Whether the URL names one Redis, rather than the one that
        the sentinels have chosen last.

    @raise CannotUse: If the user may not do what is needed.
    """
    # Send all commands before awaiting a reply: one round trip.
    info = connection.command("INFO", "server", "replication", "persistence")
    config = connection.command("CONFIG", "GET", *_SETTINGS)
    loaded = [connection.command("SCRIPT", "LOAD", each.source) for each in ALL]
    # The user may not be allowed to read the configuration.
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
        # A replica that was promoted has the replication ID of its former
        # master as its second one.  It may have lost messages that the master
        # had.
        and set(facts.get("master_replid2", "?")) == {"0"}
    )
    return Capabilities(
        facts.get("run_id", ""), isDurable, hasProof, settings.get("maxmemory-policy", "")
    )


async def recheck(connection: RedisProtocol, capabilities: Capabilities) -> Capabilities:
    """
    Ask again for the settings that may change while Redis runs.
    """
    try:
        settings = _settings(await connection.command("CONFIG", "GET", *_SETTINGS))
    except RedisRefused:
        settings = {}
    return evolve(capabilities, isDurable=_isDurable(settings))


def refusal(error: RedisRefused) -> Exception:
    """
    Return the error that a refusal means while a connection is made ready.
    """
    if isDenial(error):
        return CannotUse(f"Redis does not allow this user to do what is needed ({error})")
    return error


# Why a connection is closed, when Redis refuses to write.
BECAME_REPLICA: Final = "this Redis has become a replica"


def isDenial(error: RedisRefused) -> bool:
    """
    Whether Redis refused a command because the user may not execute it: it will
    refuse the command again until the operator changes the permissions.
    """
    return error.code in _DENIALS or "user executing the script" in str(error)


def _nothing(failure: Failure) -> dict[bytes, bytes]:
    failure.trap(RedisRefused)
    return {}


def _settings(config: object) -> dict[str, str]:
    """
    Read the reply to C{CONFIG GET}.
    """
    if not isinstance(config, dict):
        return {}
    return {_text(name): _text(value) for name, value in config.items()}


def _isDurable(settings: dict[str, str]) -> bool:
    """
    Whether Redis has everything on the disk before it answers.
    """
    return {name: settings.get(name) for name in _DURABLE} == _DURABLE


def _facts(info: str) -> dict[str, str]:
    """
    Read the reply to C{INFO}.
    """
    pairs = (line.partition(":") for line in info.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
