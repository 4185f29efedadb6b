"""
What the tests of the metrics share.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families as parse

from comet.access.accesssettings import AccessSettings
from comet.access.rights import Access
from tests.transports.case import KEY, HubTestCase, get

ADMIN = "the-admin-key-of-these-tests"

# The figures of a scrape: by the name, and by its labels as they are written in a query.
Figures = Mapping[str, float]


class MetricsCase(HubTestCase):
    """
    A server with an admin key, and scrapes of it.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        self.hub.access = Access(settings=AccessSettings((KEY,), (ADMIN,), ("open/**",)))
        self.hub.fanout.now = self.clock.seconds

    def scrape(self) -> Figures:
        """
        Ask for the figures.
        """
        response = self.ask(get("/metrics", f"Authorization: Bearer {ADMIN}"))
        self.assertEqual(response.status, 200, response.body)
        return readFigures(response.body.decode("utf-8"))


def readFigures(text: str) -> Figures:
    """
    Parse the text of a scrape.
    """
    found: dict[str, float] = {}
    for family in parse(text):
        for sample in family.samples:
            found[nameOf(sample.name, **sample.labels)] = sample.value
    return found


def nameOf(name: str, **labels: str) -> str:
    """
    Write the name of a figure with its labels.
    """
    told = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{told}}}" if told else name
