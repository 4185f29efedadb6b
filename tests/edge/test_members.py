"""
Tests of presence: each transport, on both edges, makes a member of its client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from tests.edge.case import EdgeTestCase
from tests.edge.connections import HttpConnection, TcpConnection
from tests.edge.speakers import TcpClient
from tests.edge.test_tokens import UPGRADE, WAYS, secretFile, token

# Those whose request is over once it is answered.
POLLS = ("poll", "longpoll", "jsonp")

_file = secretFile()


class MemberTests(EdgeTestCase):
    """
    The lean edge, which is the default.
    """

    options: Sequence[str] = ("--token-key", _file, "--presence", "chat/**")

    def open(self, target: str, client: str, **headers: str) -> HttpConnection:
        """
        Send a request of a client, and leave its connection open.
        """
        tcp = TcpConnection(self.site.port)
        self.addCleanup(tcp.close)
        connection = HttpConnection(tcp)
        granted = {"subscribe": ["chat/*"], "presence": ["chat/*"]}
        shown = token(sub=client, comet={**granted, "info": {"name": client}})
        connection.send("GET", target, {"Authorization": f"Bearer {shown}", **headers}, None)
        return connection

    def members(self, channel: str) -> list[Any]:
        """
        Ask who is in a channel.
        """
        connection = self.open(f"/presence/{channel}", "asks")
        response = connection.answer()
        self.assertEqual(response.status, 200)
        members: list[Any] = json.loads(response.body)["members"]
        return members

    def test_eachTransport(self) -> None:
        """
        A client is a member while its reader is there, and between its polls.
        """
        for way in WAYS:
            headers = dict(UPGRADE) if way == "websocket" else {}
            query = f"transport={way}&wait=0"
            if way == "jsonp":
                headers["Sec-Fetch-Site"] = "same-origin"
                query += "&callback=cb"
            self.open(f"/channels/chat/{way}?{query}", f"by {way}", **headers).head()
            [member] = self.members(f"chat/{way}")
            self.assertEqual(
                (member["client"], member["info"]), (f"by {way}", {"name": f"by {way}"})
            )
            self.assertEqual(member["connections"], 0 if way in POLLS else 1, way)

    def test_commands(self) -> None:
        """
        On raw TCP, a client that takes a name is a member at once, and is none when it
        leaves.
        """
        client = TcpClient(self.site)
        client.open(())
        self.addCleanup(client.close)
        granted = {"subscribe": ["chat/*"], "presence": ["chat/*"]}
        client.command(token=token(sub="tcp", comet=granted))
        client.command(subscribe=["chat/tcp"])
        told = client.command(presence="chat/tcp")
        self.assertEqual([each["client"] for each in told["members"]], ["tcp"])
        self.assertLess(abs(told["members"][0]["since"] - time.time()), 60)
        client.command(leave=["chat/tcp"])
        self.assertEqual(client.command(presence="chat/tcp")["members"], [])


class TwistedEdgeMemberTests(MemberTests):
    """
    Twisted's edge.
    """

    options = (*MemberTests.options, "--edge", "twisted")
