"""
Tests of L{comet.web.metrics}: the text, who may read it, and what a scrape costs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.internet.defer import succeed
from zope.interface import directlyProvides

from comet.fanout.states import State
from comet.interfaces.messagebus import IMessageBus
from comet.web.metrics.families import families
from comet.web.metrics.scrape import MetricsTree
from comet.web.resources import NotFoundResource
from tests.transports.case import KEY, get
from tests.web.metrics.case import ADMIN, MetricsCase, readFigures


class AccessTests(MetricsCase):
    """
    Who may read the metrics.
    """

    def test_needsAdminKey(self) -> None:
        """
        The metrics are for the admin.
        """
        self.assertProblem(self.ask(get("/metrics")), 401, "unauthorized")
        bearer = f"Authorization: Bearer {KEY}"
        self.assertProblem(self.ask(get("/metrics", bearer)), 403, "forbidden")
        self.assertProblem(self.ask(get("/metrics?token=x")), 401, "unauthorized")
        self.assertProblem(self.ask(get("/metrics/x", bearer)), 404, "notFound")
        foreign = ("Origin: https://friend.example", f"Authorization: Bearer {ADMIN}")
        self.assertProblem(self.ask(get("/metrics", *foreign)), 403, "forbidden")

    def test_portWithoutKey(self) -> None:
        """
        The port of their own needs no key, and no known host, and has nothing else.
        """
        cure = "the metrics are at /metrics"
        site = self.makeSite(MetricsTree(self.hub, NotFoundResource(self.hub, cure)))
        asked = b"GET /metrics HTTP/1.1\r\nHost: comet-7:9000\r\n\r\n"
        response = self.ask(asked, site)
        self.assertEqual(response.status, 200)
        self.assertIn("comet_ready", readFigures(response.body.decode()))
        for path in ("/", "/channels/open/a", "/admin/revocations", "/health"):
            response = self.ask(get(path), site)
            self.assertProblem(response, 404, "notFound")
            self.assertEqual(response.json["detail"], f"there is nothing at {path!r}: {cure}")
        response = self.ask(get("/metrics", "Origin: https://evil.example"), site)
        self.assertProblem(response, 403, "forbidden")

    def test_withoutPackage(self) -> None:
        """
        Without prometheus-client the answer says what to install.
        """
        loaded = sys.modules.pop("prometheus_client")
        self.addCleanup(sys.modules.__setitem__, "prometheus_client", loaded)
        # So an import fails.
        sys.modules["prometheus_client"] = None  # type: ignore[assignment]
        response = self.ask(get("/metrics", f"Authorization: Bearer {ADMIN}"))
        self.assertProblem(response, 404, "notFound")
        self.assertIn("prometheus-client", response.json["detail"])

    def test_ownBus(self) -> None:
        """
        A bus that does not tell what it holds is no fault.
        """
        directlyProvides(self.bus, IMessageBus)
        self.patch(type(self.bus), "measure", lambda self: succeed(None))
        self.assertIn("comet_ready", self.scrape())


class TextTests(MetricsCase):
    """
    The text.
    """

    def test_forms(self) -> None:
        """
        The text is that of Prometheus, or of OpenMetrics where the client takes it.
        """
        admin = f"Authorization: Bearer {ADMIN}"
        response = self.ask(get("/metrics", admin))
        kind = "text/plain; version=0.0.4; charset=utf-8"
        self.assertEqual(response.header("Content-Type"), kind)
        self.assertFalse(response.body.endswith(b"# EOF\n"))
        accept = "Accept: application/openmetrics-text;version=9.9;escaping=x, text/plain;q=0.1"
        response = self.ask(get("/metrics", admin, accept))
        kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        self.assertEqual(response.header("Content-Type"), kind)
        self.assertTrue(response.body.endswith(b"# EOF\n"))
        self.assertEqual(self.ask(get("/metrics", admin, method="HEAD")).status, 200)

    def test_tellsProcess(self) -> None:
        """
        Figures of the process are told, too.
        """
        figures = self.scrape()
        self.assertGreater(figures["process_cpu_seconds_total"], 0)
        self.assertIn("process_resident_memory_bytes", figures)
        self.assertIn("process_open_fds", figures)

    def test_hasNoWordsOfClients(self) -> None:
        """
        No label has a word that a client has chosen.
        """
        for word in ("open/sesame", "open/a?account=sesame", "open/a?transport=sesame"):
            self.connect().send(get(f"/channels/{word}"))
            self.turn()
        self.ask(get("/sesame"))
        response = self.ask(get("/metrics", f"Authorization: Bearer {ADMIN}"))
        self.assertNotIn(b"sesame", response.body)
        self.assertNotIn(ADMIN.encode(), response.body)

    def test_namesAreNotTwice(self) -> None:
        """
        Each name is there once, with a text, and labels that all its figures have.
        """
        self.hub.tellEvents(["open/**"])
        found = list(families(self.hub))
        names = [family.name for family in found]
        self.assertEqual([name for name, n in Counter(names).items() if n > 1], [])
        for family in found:
            self.assertTrue(family.text.endswith("."), family.name)
            self.assertLessEqual(len({tuple(labels) for labels, _ in family.values}), 1)


class CostTests(MetricsCase):
    """
    What a scrape costs.
    """

    def calls(self, call: Callable[[], object]) -> int:
        """
        Count the calls of Python functions.
        """
        count = 0

        def called(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal count
            count += event == "call"

        before = sys.getprofile()
        sys.setprofile(called)
        try:
            call()
        finally:
            sys.setprofile(before)
        return count

    def test_doesNotGrow(self) -> None:
        """
        A scrape takes no call for a reader, a channel or an account.
        """
        few = self.calls(lambda: list(families(self.hub)))
        for number in range(50):
            self.publish(f"open/{number}", 1)
            for transport in ("sse", "stream"):
                path = f"/channels/open/{number}?transport={transport}"
                self.connect().send(get(path))
        self.turn()
        readers: Any = self.hub.fanout.readers
        self.assertEqual([each.state for each in readers], [State.LIVE] * 100)
        many = self.calls(lambda: list(families(self.hub)))
        # Two more transports, and their labels.
        self.assertLess(many - few, 50)
