"""
What a backend may answer.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.access.granted import Granted
from comet.errors import CometError, Forbidden, TooMany, Unauthorized
from comet.hooks.verdicts import BadRefusal, readAnswer, readConnect
from comet.model.grants import Rights


class AnswerTests(SynchronousTestCase):
    """
    Reading answers.
    """

    def test_object(self) -> None:
        """
        An answer is one JSON object, without what programs read in two ways.
        """
        self.assertEqual(readAnswer(b' {"client":"ada","error":null} ')["client"], "ada")  # type: ignore[index]
        for body in (
            *(b"", b"[]", b'"x"', b"null", b"{", b"{}{}", b'{"a":NaN}', b'{"a":1e999}', b"\xff"),
            *(b'{"a":"\\ud800"}', b"[" * 70 + b"]" * 70, b"<html>secret</html>"),
        ):
            error = self.assertRaises(ValueError, readAnswer, body)
            self.assertNotIn("secret", str(error))

    def refusal(self, error: str) -> CometError:
        """
        Read a refusal.
        """
        found = readAnswer(b'{"error":%b}' % error.encode())
        assert isinstance(found, CometError)
        return found

    def test_refusal(self) -> None:
        """
        A refusal is told with its code, or as forbidden where there is no such code.
        """
        found = self.refusal('{"code":"unauthorized","message":"log in"}')
        self.assertEqual((type(found), found.detail), (Unauthorized, "log in"))
        self.assertIsInstance(self.refusal('{"code":"tooMany"}'), TooMany)
        found = self.refusal('{"code":"teapot","message":null}')
        self.assertEqual((type(found), found.detail), (Forbidden, "the backend refuses it"))
        self.assertEqual(len(self.refusal('{"code":"x","message":"%s"}' % ("y" * 999)).detail), 256)
        self.assertEqual(self.refusal('{"code":"x","message":"a\\nb"}').detail, "a\\nb")
        for bad in ('"no"', "{}", '{"code":5}', '{"code":"x","message":5}', "true", "false"):
            self.assertRaises(BadRefusal, self.refusal, bad)

    def test_connect(self) -> None:
        """
        The answer to C{connect} is what a token's claim would say.
        """
        told = readConnect(
            {
                "client": "ada",
                "subscribe": ["inbox/{sub}", "news/**"],
                "publish": ["chat/a"],
                "presence": ["chat/*"],
                "info": {"colour": "red"},
                "expires": 600,
                "other": 1,
            }
        )
        rights = Rights(["inbox/ada", "news/**"], ["chat/a"], ["chat/*"])
        self.assertEqual((told.name, told.expires, told.isNobody), ("ada", 600.0, False))
        self.assertEqual(told.granted, Granted(rights, {"colour": "red"}))

    def test_nobody(self) -> None:
        """
        C{{}} is nobody; rights without a name are not.
        """
        self.assertTrue(readConnect({}).isNobody)
        self.assertEqual(readConnect({}).expires, 60.0)
        self.assertFalse(readConnect({"subscribe": ["a"]}).isNobody)

    def test_expires(self) -> None:
        """
        An answer holds for at least a second and at most an hour.
        """
        for given, held in ((0, 1.0), (0.5, 1.0), (59.5, 59.5), (3600, 3600.0), (1e9, 3600.0)):
            self.assertEqual(readConnect({"expires": given}).expires, held)

    def test_notAllowed(self) -> None:
        """
        What is not allowed is no answer.
        """
        names: tuple[Any, ...] = ("", 5, "a\nb", "x" * 256, [], False)
        times: tuple[Any, ...] = (-1, "60", True, [], float("nan"))
        bad: list[dict[str, Any]] = [
            *({"client": name} for name in names),
            *({"expires": time} for time in times),
            {"subscribe": ["a//b"]},
            {"client": "*", "subscribe": ["inbox/{sub}"]},
        ]
        for answer in bad:
            self.assertRaises(ValueError, readConnect, answer)
