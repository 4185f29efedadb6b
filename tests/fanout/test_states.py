"""
Tests of the table of a reader's life.
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.states import TRANSITIONS, Input, State, step


class LifeTests(SynchronousTestCase):
    """
    The table.
    """

    def test_reachable(self) -> None:
        """
        Every state can be reached from the first.
        """
        reached = {State.OPENING}
        while True:
            more = {to for (state, _), to in TRANSITIONS.items() if state in reached} - reached
            if not more:
                break
            reached |= more
        self.assertEqual(reached, set(State))

    def test_steps(self) -> None:
        """
        What is in the table happens; what is not is refused, with what was
        asked of which state.
        """
        for state, given in product(State, Input):
            if (state, given) in TRANSITIONS:
                self.assertIs(step(state, given), TRANSITIONS[state, given])
            else:
                error = self.assertRaises(ValueError, step, state, given)
                self.assertIn(state.value, str(error))
                self.assertIn(given.value, str(error))

    def test_closed(self) -> None:
        """
        A reader that is gone stays so; any other may end.
        """
        self.assertFalse([given for state, given in TRANSITIONS if state is State.CLOSED])
        for state in State:
            if state is not State.CLOSED:
                self.assertIs(step(state, Input.ENDED), State.CLOSED)

    def test_live(self) -> None:
        """
        Only who has read to the end, or begins there, is live, and whoever was
        behind reads.
        """
        for (state, given), to in TRANSITIONS.items():
            if to is State.LIVE and state is not State.LIVE:
                self.assertIn(state, (State.OPENING, State.READING))
                self.assertIs(given, Input.CAUGHT_UP)
        self.assertIs(step(State.BEHIND, Input.DRAINED), State.READING)
        self.assertIs(step(State.BEHIND, Input.UNSETTLED), State.BEHIND)
