"""
The page of the metrics names what a server tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from comet.model.held import Held
from comet.web.metrics.families import Family, families, heldFamilies
from comet.web.metrics.workerfigures import countFamily
from tests.docs.running import DOCS
from tests.transports.case import HubTestCase

_NAME = re.compile(r"``(comet_\w+)``")


def toldNames(found: Iterator[Family]) -> set[str]:
    """
    Return the names of figures, as they are told.
    """
    return {each.name + ("_total" if each.kind == "counter" else "") for each in found}


class PageTests(HubTestCase):
    """
    The page.
    """

    def test_namesAll(self) -> None:
        """
        The page has all names, and no other.
        """
        self.hub.tellEvents(["open/**"])
        page = (DOCS / "reference" / "metrics.rst").read_text("utf-8")
        told = toldNames(chain([countFamily(1)], families(self.hub), heldFamilies(Held(1, 1, 1))))
        self.assertEqual(set(_NAME.findall(page)), told)
