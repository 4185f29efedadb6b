"""
What the backend has answered, for a while.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import Forbidden
from comet.hooks.hookclients import Question
from comet.hooks.rememberedanswers import RememberedAnswers
from comet.model.clients import Client
from comet.model.grants import Rights

ADA, BOB = Client("ada"), Client("bob")


def question(number: int) -> Question:
    """
    Make a question that no other number has.
    """
    return Question((), str(number), "")


class RememberedTests(SynchronousTestCase):
    """
    Remembering and forgetting.
    """

    def setUp(self) -> None:
        """
        Remember few.
        """
        self.clock = Clock()
        self.answers = RememberedAnswers(self.clock.seconds, 3, 100_000)

    def test_time(self) -> None:
        """
        An answer is remembered for its time, and not at its end.
        """
        self.answers.add(question(1), ADA, 60)
        self.clock.advance(59.9)
        self.assertIs(self.answers.find(question(1)), ADA)
        self.clock.advance(0.1)
        self.assertIsNone(self.answers.find(question(1)))
        self.assertEqual(len(self.answers), 0)

    def test_number(self) -> None:
        """
        Beyond the number the answer goes that was used least recently.
        """
        for number in (1, 2, 3):
            self.answers.add(question(number), ADA, 60)
        self.answers.find(question(1))
        self.answers.add(question(4), BOB, 60)
        kept = [self.answers.find(question(number)) for number in (1, 2, 3, 4)]
        self.assertEqual(kept, [ADA, None, ADA, BOB])

    def test_bytes(self) -> None:
        """
        Large questions are fewer; one that alone is too large is not remembered.
        """
        for number in (1, 2):
            self.answers.add(Question((("cookie", "x" * 60_000),), str(number), ""), ADA, 60)
        self.assertEqual(len(self.answers), 1)
        self.answers.add(Question((), "x" * 100_000, ""), ADA, 60)
        self.assertEqual(len(self.answers), 0)
        self.answers.add(question(1), ADA, 60)
        self.assertEqual(len(self.answers), 1)

    def test_bytesOfRights(self) -> None:
        """
        The patterns that a client may read count, and what others are shown of it.
        """
        rights = Rights([f"channels/{number}" for number in range(600)])
        self.answers.add(question(1), Client("ada", rights=rights), 60)
        self.answers.add(question(2), Client("bob", rights=rights), 60)
        self.assertEqual(len(self.answers), 1)
        self.answers.add(question(2), BOB, 60)
        self.answers.add(question(3), Client("eve", info={"a": 1}), 60)
        self.assertEqual(len(self.answers), 2)
        self.answers.clear()

    def test_forget(self) -> None:
        """
        Some clients, this very client, or all are forgotten.
        """
        self.answers.add(question(1), ADA, 60)
        self.answers.add(question(2), BOB, 60)
        self.answers.add(question(3), Forbidden("no"), 60)
        self.answers.drop(question(2), Client("bob"))
        self.answers.forget(lambda client: client.name == "ada")
        self.assertIsNone(self.answers.find(question(1)))
        self.assertIs(self.answers.find(question(2)), BOB)
        self.answers.drop(question(2), BOB)
        self.assertIsNone(self.answers.find(question(2)))
        self.answers.clear()
        self.assertEqual(len(self.answers), 0)
