"""
Tests of the table of a reader's life.
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.states import TRANSITIONS, Input, State, step


class StateTests(SynchronousTestCase):
    """
    The table.
    """

    def test_reachesEveryState(self) -> None:
        """
        Each state can be reached from the first one.
        """
        reached = {State.OPENING}
        while True:
            more = {to for (state, _), to in TRANSITIONS.items() if state in reached} - reached
            if not more:
                break
            reached |= more
        self.assertEqual(reached, set(State))

    def test_stepsFollowTheTable(self) -> None:
        """
        Steps in the table are made; each other step is refused, with its state
        and input in the error.
        """
        for state, given in product(State, Input):
            if (state, given) in TRANSITIONS:
                self.assertIs(step(state, given), TRANSITIONS[state, given])
            else:
                error = self.assertRaises(ValueError, step, state, given)
                self.assertIn(state.value, str(error))
                self.assertIn(given.value, str(error))

    def test_closedStaysClosed(self) -> None:
        """
        A closed reader stays closed; a reader in each other state may end.
        """
        self.assertFalse([given for state, given in TRANSITIONS if state is State.CLOSED])
        for state in State:
            if state is not State.CLOSED:
                self.assertIs(step(state, Input.ENDED), State.CLOSED)

    def test_liveOnlyAtTheEnd(self) -> None:
        """
        A reader goes live only when it has read to the log end or starts there;
        a reader that was behind reads first.
        """
        for (state, given), to in TRANSITIONS.items():
            if to is State.LIVE and state is not State.LIVE:
                self.assertIn(state, (State.OPENING, State.READING))
                self.assertIs(given, Input.CAUGHT_UP)
        self.assertIs(step(State.BEHIND, Input.DRAINED), State.READING)
        self.assertIs(step(State.BEHIND, Input.UNSETTLED), State.BEHIND)
