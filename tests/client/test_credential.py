"""
Tests of L{comet.client.credential}: tokens that are replaced before they expire.
"""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64encode
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.client.clientsteps import Request, Upgrade
from comet.client.credential import Credential, timeLeft
from comet.client.failures import Ended
from comet.client.received import Message
from tests.client.playing import Reply, Script, silent

TODAY = 1_700_000_000.0

STORED = Reply(201, {}, [b'{"cursors":["k3f9a2-7"]}'])
REFUSED = Reply(401, {}, [b'{"code":"unauthorized","detail":"it has expired"}'])

# A reader whose token expires after its first message, and how it goes on.
LIVE = Reply(
    101,
    {},
    [
        b'{"cursor":"k3f9a2-7"}',
        b'{"channel":"a","cursor":"k3f9a2-8","data":8}',
        b'{"cursor":"k3f9a2-8","close":{"code":"expired","message":"it is over","retry":0}}',
    ],
)
LIVE_LATER = Reply(
    101, {}, [b'{"cursor":"k3f9a2-8"}', b'{"channel":"a","cursor":"k3f9a2-9","data":9}']
)


def data(item: Any) -> Any:
    """
    Return the data of a message.
    """
    assert isinstance(item, Message)
    return item.data


def token(**claims: Any) -> str:
    """
    Make what looks like a token.
    """
    head, body = (
        urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode()
        for each in ({"alg": "none"}, claims)
    )
    return f"{head}.{body}.sig"


class TimeLeftTests(SynchronousTestCase):
    """
    L{timeLeft}.
    """

    def test_shares(self) -> None:
        """
        It is four fifths of what is left, and not more than that of the token's life, nor less than
        a fifth of that, where the clock here is wrong.
        """
        for began, ends, expected in (
            (0, 100, 80),
            (-50, 50, 40),
            (-99, 1, 16),
            (-500, -400, 16),
            (500, 600, 80),
            (None, 100, 80),
            (None, 1, 4.8),
            (None, -100, 4.8),
            (50, 0, 0),
        ):
            claims = {"exp": TODAY + ends}
            if began is not None:
                claims["iat"] = TODAY + began
            self.assertAlmostEqual(timeLeft(token(**claims), TODAY), expected)

    def test_untold(self) -> None:
        """
        What does not tell when it expires is not replaced.
        """
        for word in (
            "key",
            token(),
            token(exp="7"),
            token(exp=True),
            token(exp=None),
            "ey.ey.x",
            "eyJ.ey!.x",
            f"eyJ.ey{'x' * 99}.x",
        ):
            self.assertEqual(timeLeft(word, TODAY), math.inf)


class GivenTests(SynchronousTestCase):
    """
    What a client is given.
    """

    def test_lineEnd(self) -> None:
        """
        A key with the line end of its file is refused, with words for that, and is not shown.
        """
        error = self.assertRaises(ValueError, Credential, None, "secret-key\n", float)
        self.assertIn("without the line end of its file", str(error))
        self.assertNotIn("secret", str(error))


class RenewedTests(SynchronousTestCase):
    """
    The function is asked in time.
    """

    def setUp(self) -> None:
        """
        Make tokens that live for 100 s.
        """
        self.script = Script()
        self.given: list[Any] = []

    def give(self) -> str:
        """
        Give a token.
        """
        if self.given and isinstance(self.given[0], Exception):
            raise self.given.pop(0)
        if self.given:
            return str(self.given.pop(0))
        today = TODAY + self.script.now
        return token(iat=today, exp=today + 100, number=len(self.script.asked))

    def today(self) -> float:
        """
        Return the time of day.
        """
        return TODAY + self.script.now

    def shown(self, credential: Credential) -> str:
        """
        Return what a request shows.
        """
        return self.script.run(credential.show()) or ""

    def test_requests(self) -> None:
        """
        A request asks for another token once four fifths of its life are over.  While there is none
        the former one is shown, and the function is asked again after 30 s.
        """
        credential = Credential(self.give, None, self.script.seconds, self.today)
        first = self.shown(credential)
        self.script.now += 79
        self.assertEqual(self.shown(credential), first)
        self.script.now += 2
        self.given = [KeyError("no"), KeyError("not asked again so soon")]
        for _ in range(2):
            self.assertEqual(self.shown(credential), first)
        self.script.now += 30
        self.given = ["third"]
        self.assertEqual(self.shown(credential), "third")
        self.script.now += 1e6
        self.assertEqual(self.shown(credential), "third")

    def test_same(self) -> None:
        """
        If the function gives the same token again, it is asked again after 30 s.
        """
        same = self.give()
        self.given = [same] * 3
        credential = Credential(self.give, None, self.script.seconds, self.today)
        for left in (2, 1, 1, 0):
            self.shown(credential)
            self.assertEqual(len(self.given), left)
            self.script.now += 81 if left == 2 else 15.1

    def test_stream(self) -> None:
        """
        A stream that is open comes back with the next token, at once and untold, and goes on where
        it was.
        """

        def text(number: int) -> bytes:
            return b'{"channel":"a","cursor":"k3f9a2-%d","data":%d}\n' % (number, number)

        script = self.script = Script(
            Reply(101, {}, [b'{"cursor":"k3f9a2-7"}', text(8), text(9), text(10)]),
            Reply(101, {}, [b'{"cursor":"k3f9a2-9"}', text(10), silent()]),
        )
        told: list[Any] = []
        core = script.core(token=self.give, today=self.today)
        reading = core.subscribe("a", onClose=told.append)
        found = []
        for _ in range(3):
            item = script.next(reading)
            assert isinstance(item, Message)
            found.append(item.data)
            script.now += 50
        self.assertEqual((found, told, script.slept), ([8, 9, 10], [], []))
        self.assertEqual(len(script.asked), 2)
        self.assertIn("since=k3f9a2-9", str(script.asked[1].url))
        shown = [script.headers(number)["Authorization"] for number in range(2)]
        self.assertNotEqual(*shown)

    def test_other(self) -> None:
        """
        A connection is told of a token that another one has asked for.
        """
        credential = Credential(self.give, None, self.script.seconds, self.today)
        self.shown(credential)
        former = credential.word
        self.assertFalse(self.script.run(credential.hasNext(former)))
        self.script.now += 90
        self.given = ["other"]
        self.shown(credential)
        self.assertTrue(self.script.run(credential.hasNext(former)))
        self.assertFalse(self.script.run(credential.hasNext("other")))
        expired = Ended("expired", "", ())
        # The server has not seen it, whatever becomes of those before it.
        credential.taken(former)
        self.assertFalse(credential.isOver(expired, "other"))
        self.assertTrue(credential.isOver(expired, former))
        credential.taken("other")
        self.assertTrue(credential.isOver(expired, "other"))


class OverTests(SynchronousTestCase):
    """
    Tokens that the server takes no more.
    """

    def setUp(self) -> None:
        """
        Count the tokens.
        """
        self.given: list[Any] = ["one", "two", "three"]

    def give(self) -> str:
        """
        Give the next token, or fail.
        """
        given = self.given.pop(0)
        if isinstance(given, Exception):
            raise given
        return str(given)

    def test_requestsTogether(self) -> None:
        """
        Of requests that have shown the same token, the first that is refused asks for another.  The
        others show that, also if the server has not seen it yet.
        """
        script = Script(STORED, REFUSED, REFUSED, STORED, STORED)
        core = script.core(token=self.give)
        script.run(core.publish("a", 0))
        running = [core.publish("a", number) for number in (1, 2)]
        asked = [next(each) for each in running]
        refused = [script.do(each) for each in asked]
        for steps, response in zip(running, refused, strict=True):
            step = steps.send(response)
            while not isinstance(step, Request):
                step = steps.send(script.do(step))
            self.assertEqual(step.headers["Authorization"], "Bearer two")
            steps.close()
        self.assertEqual(self.given, ["three"])

    def test_subscriptionsTogether(self) -> None:
        """
        Subscriptions whose common token has expired ask for one other, and show it.
        """
        script = Script(*[LIVE] * 2, *[LIVE_LATER] * 2)
        core = script.core(token=self.give)
        readings = [core.subscribe("a") for _ in range(2)]
        first, second = readings
        for each in readings:
            self.assertEqual(data(script.next(each)), 8)
        self.assertIsNone(first.take())
        while True:
            step = first.step()
            if isinstance(step, Upgrade):
                break
            if step is not None:
                first.done(script.do(step))
        self.assertEqual(data(script.next(second)), 9)
        self.assertEqual(data(script.next(first)), 9)
        shown = [script.headers(number)["Authorization"] for number in range(4)]
        self.assertEqual(shown, ["Bearer one"] * 2 + ["Bearer two"] * 2)

    def test_functionFails(self) -> None:
        """
        A subscription that was open comes back, though the function for tokens fails for a while,
        or gives what is none.
        """
        script = Script(LIVE, LIVE_LATER)
        told: list[Any] = []
        core = script.core(token=self.give)
        self.given[1:1] = [KeyError("secret"), "no token", OSError("away")]
        reading = core.subscribe("a", onClose=told.append)
        self.assertEqual([data(script.next(reading)) for _ in range(2)], [8, 9])
        self.assertEqual([each.code for each in told], ["expired", *["noToken"] * 3])
        self.assertNotIn("secret", str(told))
        self.assertGreater(min(script.slept[1:]), 0)

    def test_functionNeverWorked(self) -> None:
        """
        The first failure of the function is told as it is, to readers and publishers.
        """
        self.given = [KeyError("first"), KeyError("second")]
        script = Script()
        core = script.core(token=self.give)
        self.assertRaises(KeyError, script.next, core.subscribe("a"))
        self.assertRaises(KeyError, script.run, core.publish("a", 1))
