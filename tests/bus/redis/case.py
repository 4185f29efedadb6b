"""
The base of the tests of the Redis bus: one server for all of them, in which
each test has a prefix of its own.
"""

from __future__ import annotations

import atexit
from itertools import count
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from comet.bus.idempotency import KeyBudget
from comet.bus.redis.bus import RedisBus
from comet.bus.redis.urls import RedisURL, parseURL
from comet.interfaces.messagebus import IMessageBus
from comet.model.log import Retention
from comet.testing.case import HOUR
from tests.redisserver import RedisServer

_numbers = count(1)
_servers: list[RedisServer] = []

# Advances the time of a log, which never goes back.
ADVANCE = """#!lua flags=allow-oom
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local stored = tonumber(redis.call('HGET', KEYS[1], 'time')) or 0
redis.call('HSET', KEYS[1], 'time', string.format('%.6f', math.max(now, stored) + ARGV[1]))
return 1
"""

# Deletes all keys with a prefix.
LOSE = """
for _, name in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do redis.call('DEL', name) end
return 1
"""


def sharedServer() -> RedisServer:
    """
    Return the server of all tests that do it no harm.
    """
    if not _servers:
        _servers.append(RedisServer().start())
        atexit.register(_servers[0].destroy)
    return _servers[0]


def theReactor() -> Any:
    """
    Return the reactor in which the tests run.
    """
    from twisted.internet import reactor

    return reactor


async def pause(seconds: float) -> None:
    """
    Wait, and let the reactor go on.
    """
    await deferLater(theReactor(), seconds)


async def until(condition: Any, seconds: float = 10.0) -> None:
    """
    Wait until a condition is true.
    """
    clock = theReactor()
    end = clock.seconds() + seconds
    while not condition():
        if clock.seconds() > end:
            raise AssertionError(f"it did not come to be within {seconds} seconds")
        await pause(0.005)


class RedisCase(TestCase):
    """
    A test with a Redis.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Take a prefix on the shared server.
        """
        self.server = sharedServer()
        self.url = self.urlOf(self.server)

    def urlOf(self, server: RedisServer) -> RedisURL:
        """
        Return a URL with a prefix of this test.
        """
        return evolve(
            parseURL(f"redis://127.0.0.1:{server.port}"), prefix=f"{{t{next(_numbers)}}}:"
        )

    def newBus(
        self,
        messages: int = 1000,
        seconds: float = HOUR,
        bytes: int = 1048576,
        totalBytes: int = 268435456,
        url: RedisURL | None = None,
        keyBudget: KeyBudget | None = None,
    ) -> RedisBus:
        """
        Make a bus without starting it.
        """
        retention = Retention(messages, seconds, bytes)
        return RedisBus(
            theReactor(),
            self.url if url is None else url,
            lambda _: retention,
            totalBytes,
            keyBudget=keyBudget,
        )

    async def startedBus(self, **settings: Any) -> RedisBus:
        """
        Make and start a bus, which stops when the test is over.
        """
        bus = self.newBus(**settings)
        await bus.start()
        self.addCleanup(bus.stop)
        return bus

    async def makeBus(
        self,
        messages: int = 1000,
        seconds: float = HOUR,
        bytes: int = 1048576,
        totalBytes: int = 268435456,
        keyBudget: KeyBudget | None = None,
    ) -> IMessageBus:
        """
        See L{comet.testing.case.BusCase.makeBus}.
        """
        return await self.startedBus(
            messages=messages,
            seconds=seconds,
            bytes=bytes,
            totalBytes=totalBytes,
            keyBudget=keyBudget,
        )

    async def advance(self, seconds: float) -> None:
        """
        See L{comet.testing.case.BusCase.advance}.
        """
        self.script(ADVANCE, str(seconds))

    async def renew(self, bus: IMessageBus) -> None:
        """
        Delete the log, and let the bus find that out.
        """
        self.script(LOSE, self.url.prefix)
        before = bus.end.epoch
        await until(lambda: bus.end.epoch != before)

    async def settle(self, bus: IMessageBus) -> None:
        """
        Do nothing but ask: a caller with an answer has heard everything that
        was stored before it.
        """
        await bus.resolve({})

    def script(self, source: str, *words: str) -> None:
        """
        Run a script that is not the bus's.
        """
        answer = self.server.ask("EVAL", source, "1", f"{self.url.prefix}state", *words)
        self.assertEqual(answer, ":1\r\n")


def wait(deferred: Deferred[Any]) -> Deferred[Any]:
    """
    Discard the failure of a Deferred.
    """
    deferred.addErrback(lambda failure: None)
    return deferred
