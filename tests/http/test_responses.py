"""
Tests of L{comet.http.responses}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from comet import errors
from comet.http.responses import COMMON, ENDLESS, batchResponse, problem, publishedResponse, reason
from comet.model.messages import Published


def leaves(tree: type[errors.CometError]) -> Iterator[type[errors.CometError]]:
    """
    Every subclass of an error, and every subclass of these.
    """
    for error in tree.__subclasses__():
        yield error
        yield from leaves(error)


class CommonTests(SynchronousTestCase):
    """
    The headers that all responses have.
    """

    def test_forbidsCachesAndSniffing(self) -> None:
        """
        No response is stored or changed by a proxy, and no browser guesses its
        type.
        """
        self.assertEqual(
            dict(COMMON),
            {
                b"Cache-Control": b"no-store, no-transform",
                b"Vary": b"Origin, Accept",
                b"X-Content-Type-Options": b"nosniff",
            },
        )

    def test_forbidsBuffering(self) -> None:
        """
        An endless response is not buffered by nginx, either.
        """
        self.assertEqual(ENDLESS, (*COMMON, (b"X-Accel-Buffering", b"no")))


class ReasonTests(SynchronousTestCase):
    """
    L{reason}.
    """

    def test_phrasesOfRFC9110(self) -> None:
        """
        The phrases are those of RFC 9110 in every version of Python.
        """
        self.assertEqual(reason(200), "OK")
        self.assertEqual(reason(413), "Content Too Large")
        self.assertEqual(reason(421), "Misdirected Request")
        self.assertEqual(reason(422), "Unprocessable Content")

    def test_emptyIfUnknown(self) -> None:
        """
        A status without a phrase has an empty one.
        """
        self.assertEqual(reason(299), "")


class ProblemTests(SynchronousTestCase):
    """
    L{problem}: responses for errors.
    """

    def test_bodyIsProblem(self) -> None:
        """
        The body is a problem of the type C{about:blank}, with the reason phrase
        as its title.
        """
        answer = problem(errors.BadChannel("'a*' is not \u2028 <a> \ud800 channel"))
        self.assertEqual(answer.status, 400)
        self.assertEqual(
            json.loads(answer.body),
            {
                "type": "about:blank",
                "title": "Bad Request",
                "status": 400,
                "detail": "'a*' is not \u2028 <a> \ud800 channel",
                "code": "badChannel",
            },
        )
        self.assertEqual(answer.headers, ((b"Content-Type", b"application/problem+json"), *COMMON))

    def test_respondsToEveryError(self) -> None:
        """
        Every error has a response with its status and code, and a title.
        """
        for kind in leaves(errors.CometError):
            # Others are those of clients.
            if kind is errors.MethodNotAllowed or kind.__module__ != errors.__name__:
                continue
            answer = problem(kind("detail"))
            body = json.loads(answer.body)
            self.assertEqual(answer.status, kind.status)
            self.assertEqual((body["status"], body["code"]), (kind.status, kind.code))
            self.assertTrue(body["title"])

    def test_retryAfterInWholeSeconds(self) -> None:
        """
        C{Retry-After} is in whole seconds, rounded up, and at least one.
        """
        for retryAfter, told in ((0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (2.1, b"3"), (60, b"60")):
            for kind in (errors.TooMany, errors.Unavailable):
                headers = dict(problem(kind("detail", retryAfter)).headers)
                self.assertEqual(headers[b"Retry-After"], told)
        self.assertNotIn(b"Retry-After", dict(problem(errors.Unknown("detail")).headers))

    def test_allowHasMethods(self) -> None:
        """
        The response for a method that is not allowed names the allowed ones.
        """
        answer = problem(errors.MethodNotAllowed("detail", ["GET", "HEAD"]))
        self.assertEqual(answer.status, 405)
        self.assertEqual(dict(answer.headers)[b"Allow"], b"GET, HEAD")

    def test_authenticateIfUnauthorized(self) -> None:
        """
        C{WWW-Authenticate} is there if a credential is needed, and only then.
        """
        headers = dict(problem(errors.Unauthorized("detail")).headers)
        self.assertEqual(headers[b"WWW-Authenticate"], b"Bearer")
        self.assertNotIn(b"WWW-Authenticate", dict(problem(errors.Forbidden("detail")).headers))


class PublishedTests(SynchronousTestCase):
    """
    The responses to publishers.
    """

    def test_tellsCursorOfEachChannel(self) -> None:
        """
        The body has the cursor of each channel, and the highest of them.
        """
        answer = publishedResponse(Published("k3f9a2", {"news": 1042, "a/é": 1041}))
        self.assertEqual(answer.status, 201)
        self.assertEqual(
            answer.body,
            b'{"cursor":"k3f9a2-1042","channels":{"news":"k3f9a2-1042","a/\\u00e9":"k3f9a2-1041"}}'
            b"\n",
        )
        self.assertEqual(answer.headers, ((b"Content-Type", b"application/json"), *COMMON))

    def test_tellsCursorOfEachLine(self) -> None:
        """
        The body has the cursor of each line, in their order, and the one with
        the highest position.
        """
        results = [Published("k3", {"a": position}) for position in (9, 10, 8)]
        answer = batchResponse(results)
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.body, b'{"cursor":"k3-10","cursors":["k3-9","k3-10","k3-8"]}\n')

    def test_highestIsOfLastEpoch(self) -> None:
        """
        If an epoch ended within a batch, the highest cursor is one of the last
        line's epoch.
        """
        answer = batchResponse([Published("z", {"a": 900}), Published("a", {"a": 1})])
        self.assertEqual(json.loads(answer.body)["cursor"], "a-1")
