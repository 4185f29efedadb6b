"""
Tests of what tokens cost on the lean edge, in calls: L{tests.edge.tokencosts} measures it
in time.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Final

from comet.access.accesssettings import AccessSettings
from comet.access.claims import ClaimRules
from comet.access.rights import Access
from comet.access.tokenkeys import readTokenKeys
from comet.access.tokens import TokenVerifier
from tests.access.tokencase import NOW, SECRET, sign
from tests.lean.case import LeanTestCase, Peer, request

# What makes the date of a response.
DATE: Final = "comet.http.http1._dateOf"


class TokenCostTests(LeanTestCase):
    """
    A held poll that is answered by a message.
    """

    def setUp(self) -> None:
        """
        Begin at the time of the tokens.
        """
        super().setUp()
        self.hub.leases.now = lambda: NOW

    def knowTokens(self) -> None:
        """
        Demand tokens.
        """
        verifier = TokenVerifier(readTokenKeys(SECRET), ClaimRules(), lambda: NOW)
        self.hub.access = Access(settings=AccessSettings(("k" * 16,), tokens=verifier))

    def polled(self, peer: Peer, query: str) -> None:
        """
        Poll, and be answered.
        """
        peer.said = b""
        since = f"&since={self.hub.end}"
        peer.send(request(f"/channels/news?transport=longpoll{query}{since}"))
        self.reactor.settle()
        self.hub.publish("news", "x")
        peer.hears(b"]}\n")

    def callsOf(self, query: str) -> list[str]:
        """
        Return the functions of comet that a poll calls, which is not the first of its
        client.
        """
        peer = self.peer()
        for _ in range(3):
            self.polled(peer, query)
        calls: list[str] = []

        def count(call: FrameType, event: str, argument: object) -> None:
            module = call.f_globals.get("__name__", "")
            name = f"{module}.{call.f_code.co_name}"
            # The date is made again once a second, whoever asks then.
            if event == "call" and module.startswith("comet.") and name != DATE:
                calls.append(name)

        sys.setprofile(count)
        try:
            self.polled(peer, query)
        finally:
            sys.setprofile(None)
        return calls

    def test_calls(self) -> None:
        """
        A poll with a token calls two functions more than one without: what finds the token
        among those that were verified, and for how long it still counts.
        """
        plain = self.callsOf(f"&other={sign({'sub': 'ada'})}")
        self.knowTokens()
        granted = {"subscribe": ["u/{sub}", "news"]}
        token = sign({"sub": "ada", "exp": NOW + 600, "comet": granted})
        shown = self.callsOf(f"&token={token}")
        for each in plain:
            if each in shown:
                shown.remove(each)
        expected = ["comet.access.rememberedtokens.find", "comet.hub.gate.secondsLeft"]
        self.assertEqual(shown, expected)
