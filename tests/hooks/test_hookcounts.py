"""
Tests of what is counted of the questions to an application: L{comet.hooks.hookcounts}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from comet.errors import Forbidden, Unavailable
from comet.hooks.webhooks import Webhooks
from comet.http.outgoing import ASKED
from comet.model.clients import Client
from comet.model.messages import Publication
from comet.server.statistics import StatisticsService
from tests.hooks.case import HookTestCase
from tests.hooks.hookcase import Hooks
from tests.transports.case import HubTestCase

ADA = Client("ada")


class HookCountTests(HubTestCase):
    """
    Hooks in Python that are asked about messages, and answer calls.
    """

    def setUp(self) -> None:
        """
        Use hooks.
        """
        super().setUp()
        self.hooks = Hooks()
        self.hub.useHooks(self.hooks, [("**", ["publish", "subscribe"])])

    def counts(self, kind: str) -> dict[str, Any]:
        """
        Return the counts of a kind that are not 0, as C{$stats} has them.
        """
        figures = StatisticsService(self.hub, self.clock).figures()
        counted = json.loads(json.dumps(figures["hooks"]))[kind]
        return {name: count for name, count in counted.items() if count}

    def store(self) -> Deferred[Any]:
        """
        Publish.
        """
        stored = self.hub.store(ADA, [Publication(("open/a",), b"1", publisher="client:ada")])
        stored.addErrback(lambda _: None)
        self.turn()
        return stored

    def test_atOnce(self) -> None:
        """
        What is answered at once takes no time.
        """
        for answer in (None, Forbidden("no"), ZeroDivisionError(), "not allowed"):
            self.hooks.answer = answer
            self.store()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        expected = {"asked": 4, "answered": 1, "refused": 1, "failed": 2}
        self.assertEqual(self.counts("publish"), expected)

    def test_later(self) -> None:
        """
        What is answered later is counted once, however it ends.
        """
        for index, answer in enumerate((None, Forbidden("no"), ZeroDivisionError(), "not allowed")):
            self.store()
            self.turn(0.5)
            self.hooks.reply(index, answer)
            self.turn()
        self.flushLoggedErrors(ZeroDivisionError)
        expected = {"asked": 4, "answered": 1, "refused": 1, "failed": 2, "seconds": 2.0}
        counted = self.counts("publish")
        counted["seconds"] = round(counted["seconds"], 1)
        self.assertEqual(counted, expected)
        call = self.hub.call(ADA, "m", None)
        self.assertEqual(self.counts("call"), {"asked": 1, "underWay": 1})
        call.cancel()
        self.failureResultOf(call)
        counted = self.counts("call")
        self.assertEqual((counted["asked"], counted["cancelled"]), (1, 1))

    def test_late(self) -> None:
        """
        An answer that comes too late has failed.
        """
        self.store()
        self.turn(self.hub.settings.identifySeconds + 0.2)
        counted = self.counts("publish")
        self.assertEqual((counted["asked"], counted["failed"]), (1, 1))
        self.assertNotIn("underWay", counted)

    def test_accounts(self) -> None:
        """
        Nothing of it is shown to an account, whose name anyone may know.
        """
        service = StatisticsService(self.hub, self.clock)
        self.assertEqual(list(service.figures()), ["node", "transports", "hooks"])
        self.assertEqual(list(service.figures("me")), ["node", "transports"])


class WebhookCountTests(HookTestCase):
    """
    A backend behind a hub.
    """

    def setUp(self) -> None:
        """
        Have the backend asked about messages.
        """
        super().setUp()
        self.site = HubTestCase()
        self.site.setUp()
        self.addCleanup(self.site.doCleanups)
        self.hub = self.site.hub
        self.sender.counts = self.hub.hookCounts
        self.hub.useHooks(Webhooks(self.sender, ASKED, False), [("**", ["publish"])])

    def store(self) -> Deferred[Any]:
        """
        Publish.
        """
        return self.hub.store(ADA, [Publication(("open/a",), b"1", publisher="client:ada")])

    def test_countedOnce(self) -> None:
        """
        What the backend is asked is counted once, where requests are sent.
        """
        stored = self.store()
        count = self.hub.hookCounts.of["publish"]
        self.assertEqual((count.asked, count.underWay), (1, 1))
        self.sent[0].reply({})
        self.site.turn()
        self.successResultOf(stored)
        self.assertEqual((count.asked, count.answered), (1, 1))

    def test_notAllowed(self) -> None:
        """
        An answer has failed if the message that it makes is not allowed, which is found
        only after it was read.
        """
        stored = self.store()
        self.sent[0].reply({"event": "$own"})
        self.site.turn()
        self.failureResultOf(stored, Unavailable)
        count = self.hub.hookCounts.of["publish"]
        self.assertEqual((count.asked, count.answered, count.failed), (1, 0, 1))
