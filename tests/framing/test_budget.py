"""
Tests of L{comet.framing.budget}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.budget import EACH_COMPRESSED, MOST_AT_ONCE, CompressionBudget
from comet.framing.deflate import MOST_COMPRESSED, deflate

TEXT = b"text" * 100


class CompressionBudgetTests(SynchronousTestCase):
    """
    L{CompressionBudget}.
    """

    def test_spends(self) -> None:
        """
        Pieces are compressed until the budget is spent, and again once it is renewed.
        """
        budget = CompressionBudget(3 * (len(TEXT) + EACH_COMPRESSED))
        made = [budget.deflate(TEXT) for _ in range(5)]
        self.assertEqual(made, [deflate(TEXT)] * 3 + [None] * 2)
        self.assertEqual((budget.compressed, budget.unaffordable), (3, 2))
        self.assertEqual((budget.before, budget.after), (3 * len(TEXT), 3 * len(deflate(TEXT))))
        budget.renew(1)
        self.assertEqual(budget.deflate(TEXT), deflate(TEXT))
        self.assertIsNone(budget.deflate(TEXT))
        self.assertEqual((budget.compressed, budget.unaffordable), (4, 3))

    def test_outcomes(self) -> None:
        """
        What does not become shorter is counted, and is paid for; what is too large costs
        nothing.
        """
        budget = CompressionBudget()
        self.assertIsNone(budget.deflate(b"x"))
        self.assertEqual((budget.longer, budget.left), (1, MOST_AT_ONCE - EACH_COMPRESSED - 1))
        self.assertIsNone(budget.deflate(b"x" * (MOST_COMPRESSED + 1)))
        self.assertEqual(budget.left, MOST_AT_ONCE - EACH_COMPRESSED - 1)
        self.assertEqual((budget.before, budget.after, budget.unaffordable), (0, 0, 0))

    @given(st.lists(st.integers(0, 3000)), st.integers(0, 5000))
    def test_bound(self, sizes: list[int], most: int) -> None:
        """
        Whatever comes, no more is compressed than the budget allows, but for the first piece.
        """
        budget = CompressionBudget(most)
        tried = 0
        for size in sizes:
            before = budget.unaffordable
            budget.deflate(b"y" * size)
            if budget.unaffordable == before:
                tried += size + EACH_COMPRESSED
        first = sizes[0] + EACH_COMPRESSED if sizes else 0
        self.assertLessEqual(tried, max(most, first))
        self.assertEqual(
            budget.compressed + budget.longer + budget.unaffordable, len(sizes), "one outcome each"
        )
