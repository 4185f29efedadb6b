"""
Tests of L{comet.bus.sqlite.queue}.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.sqlite.queue import PublishBurst, WriteQueue, WriteTask
from comet.model.messages import Publication

# A burst, a task, and one beside them.
items = st.lists(st.sampled_from("btB"), max_size=30)


def made(kind: str) -> PublishBurst | WriteTask:
    """
    Make a burst, or a task.
    """
    if kind == "b":
        return PublishBurst([[Publication(("c",), b"1")]])
    return WriteTask(lambda: None, isBeside=kind == "B")


class WriteQueueTests(SynchronousTestCase):
    """
    What is taken from a L{WriteQueue}, in which order.
    """

    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(items)
    def test_eachOnceInOrder(self, kinds: list[str]) -> None:
        """
        Each is taken once, those of one line in their order, and while both lines wait
        neither is served twice in a row.
        """
        queue = WriteQueue()
        given = [made(kind) for kind in kinds]
        for each in given:
            queue.add(each)
        beside = {each for each in given if isinstance(each, WriteTask) and each.isBeside}
        lines: dict[bool, list[object]] = {False: [], True: []}
        served: list[bool] = []
        while len(queue):
            waiting = len(beside) - len(lines[True])
            others = len(given) - len(beside) - len(lines[False])
            taken = queue.take()
            several = taken if isinstance(taken, list) else [taken]
            served.append(several[0] in beside)
            lines[served[-1]] += several
            if waiting and others and served[:-1]:
                self.assertNotEqual(served[-1], served[-2])
        self.assertEqual(lines[True], [each for each in given if each in beside])
        self.assertEqual(lines[False], [each for each in given if each not in beside])
        self.assertEqual(queue.size, 0)

    def test_publicationAmongMembers(self) -> None:
        """
        A publication waits for one task of very many that are beside, whether it comes
        before the first is taken or after that.
        """
        for first in (0, 1):
            queue = WriteQueue()
            for _ in range(50):
                queue.add(made("B"))
            for _ in range(first):
                queue.take()
            burst = made("b")
            queue.add(burst)
            taken = [queue.take() for _ in range(2)]
            self.assertIn([burst], taken)

    def test_taskAmongPublications(self) -> None:
        """
        A task that is beside waits for one commit, however many publications come.
        """
        queue = WriteQueue()
        for _ in range(3):
            queue.add(made("b"))
            queue.add(made("t"))
        queue.take()
        task = made("B")
        queue.add(task)
        self.assertIn(task, [queue.take() for _ in range(2)])
