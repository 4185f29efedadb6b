"""
The numbers that options take.
"""

from __future__ import annotations

import math
from typing import Any

import click


class NumberRange(click.FloatRange):
    """
    A number within bounds, which "nan" is not: click compares, and no comparison finds it outside.
    """

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """
        See C{click.ParamType}.
        """
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number
