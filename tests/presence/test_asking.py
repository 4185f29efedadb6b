"""
Tests of how clients find out who is in a channel: by HTTP, and by commands.
"""

from __future__ import annotations

import json
from typing import Any

from comet.access.accesssettings import AccessSettings
from comet.access.claims import ClaimRules
from comet.access.rights import Access
from comet.access.tokens import TokenVerifier
from comet.errors import Unavailable
from comet.http.credentials import Credential
from comet.model.clients import Client, Known
from comet.model.grants import Rights
from comet.transports.tcp import CometFactory
from tests.transports.case import Response, get
from tests.transports.test_session import SessionTestCase

RIGHTS = Rights(("chat/*",), (), ("chat/*",))
CLIENTS = {
    "ada": Client("ada", rights=RIGHTS, info={"n": 1}, known=Known.TOKEN),
    "bob": Client("bob", rights=RIGHTS, known=Known.TOKEN),
    "eve": Client("eve", rights=Rights(("chat/*",), ()), known=Known.TOKEN),
}


class Names(Access):
    """
    Takes the name of a client for its token.
    """

    def clientOf(self, credential: Credential | None) -> Client | None:
        """
        Return the client that a token names.
        """
        known = None if credential is None else CLIENTS.get(credential.text)
        return super().clientOf(credential) if known is None else known


class AskingTests(SessionTestCase):
    """
    C{GET /presence/}, and the commands C{presence} and C{leave}.
    """

    def setUp(self) -> None:
        """
        Keep presence of C{chat/**}.
        """
        super().setUp()
        verifier = TokenVerifier([], ClaimRules(), lambda: 0.0)
        self.hub.access = Names(settings=AccessSettings(tokens=verifier))
        self.hub.keepPresence(["chat/**"])

    def asked(self, path: str, *headers: str, client: str = "ada") -> Response:
        """
        Ask who is there.
        """
        shown = (f"Authorization: Bearer {client}",) if client else ()
        return self.ask(get(path, *shown, *headers))

    def test_tellsMembers(self) -> None:
        """
        By HTTP and by command, a client is told who is there, itself among them.
        """
        answers = self.say(
            {"token": "ada"}, {"subscribe": ["chat/a"]}, {"id": 4, "presence": "chat/a"}
        )
        told = answers[-1]["ok"]
        [member] = told["members"]
        self.assertEqual(
            (member["client"], member["info"], member["connections"]), ("ada", {"n": 1}, 1)
        )
        self.assertEqual((answers[-1]["id"], told["count"], told["anonymous"]), (4, 1, 0))
        response = self.asked("/presence/chat/a")
        self.assertEqual((response.status, response.json), (200, told))
        self.assertEqual(response.header("Content-Type"), "application/json")
        self.assertEqual(response.header("ETag"), f'"{told["cursor"]}"')
        self.assertEqual(list(self.say({"presence": "chat/a"})[0]), ["ok"])

    def test_tellsPages(self) -> None:
        """
        A client may ask for some members only.
        """
        self.say({"token": "bob"}, {"subscribe": ["chat/a"]})
        self.say(
            {"token": "ada"}, {"subscribe": ["chat/a"]}, wire=self.connect(CometFactory(self.hub))
        )
        first = self.asked("/presence/chat/a?limit=1").json
        self.assertEqual([each["client"] for each in first["members"]], ["bob"])
        self.assertEqual((first["count"], first["more"]), (2, True))
        second = self.asked("/presence/chat/a?limit=1&after=bob").json
        self.assertEqual([each["client"] for each in second["members"]], ["ada"])
        self.assertNotIn("more", second)
        self.assertEqual(self.asked("/presence/chat/a?limit=0").json["members"], [])
        self.assertEqual(self.asked("/presence/chat/a?limit=9999999").status, 200)
        (answer,) = self.say({"presence": "chat/a", "limit": 1, "after": "bob"})
        self.assertEqual([each["client"] for each in answer["ok"]["members"]], ["ada"])

    def test_isNotModified(self) -> None:
        """
        Until a member joins, leaves or is shown anew, a client with the tag is told that
        nothing has changed.
        """
        self.say({"token": "bob"}, {"subscribe": ["chat/a"]})
        tag = self.asked("/presence/chat/a").header("ETag")
        self.hub.publish("chat/a", 1)
        self.turn()
        self.assertEqual(self.asked("/presence/chat/a", f"If-None-Match: {tag}").status, 304)
        self.say({"leave": ["chat/a"]})
        self.assertEqual(self.asked("/presence/chat/a", f"If-None-Match: {tag}").status, 200)

    def test_leaves(self) -> None:
        """
        A client that leaves is no member when it is answered, and reads no more.
        """
        self.say({"token": "ada"}, {"subscribe": ["chat/a", "news"]})
        self.assertEqual(self.say({"id": 8, "leave": ["chat/a"]}), [{"id": 8, "ok": {}}])
        self.assertEqual(self.asked("/presence/chat/a").json["count"], 0)
        self.assertEqual(self.say({"leave": ["chat/a", "chat/*"]}), [{"ok": {}}])

    def test_needsRight(self) -> None:
        """
        It needs what reading the channel needs that tells of the members.
        """
        self.say({"token": "ada"})
        for client, code in (("", 401), ("eve", 403), ("ada", 200)):
            self.assertEqual(self.asked("/presence/chat/a", client=client).status, code)
        wire = self.connect(CometFactory(self.hub))
        self.say({"token": "eve"}, wire=wire)
        (answer,) = self.say({"presence": "chat/a"}, wire=wire)
        self.assertEqual(answer["error"]["code"], "forbidden")

    def test_refusesQuestions(self) -> None:
        """
        What is asked wrongly is refused, as is a channel of which presence is not kept.
        """
        for path, code in (
            ("/presence/", "badChannel"),
            ("/presence/chat/a,chat/b", "badRequest"),
            ("/presence/chat/*", "badChannel"),
            ("/presence/chat/a?limit=-1", "badRequest"),
            ("/presence/chat/a?limit=x", "badRequest"),
            ("/presence/chat/a?after=nobody", "badRequest"),
            ("/presence/chat/b/c", "forbidden"),
        ):
            self.assertEqual(self.asked(path).json["code"], code, path)
        self.hub.keepPresence([])
        self.assertEqual(self.asked("/presence/chat/a").json["code"], "notFound")
        self.say({"token": "ada"})
        commands: tuple[tuple[Any, str], ...] = (
            ({"presence": "chat/a"}, "notFound"),
            ({"presence": "chat/*"}, "badChannel"),
            ({"presence": ["chat/a"]}, "badChannel"),
            ({"presence": "chat/a", "limit": 1001}, "badRequest"),
            ({"presence": "chat/a", "limit": True}, "badRequest"),
            ({"presence": "chat/a", "after": 5}, "badRequest"),
            ({"leave": []}, "badRequest"),
            ({"leave": ["a"], "presence": "chat/a"}, "badRequest"),
        )
        for command, code in commands:
            self.assertEqual(self.error(command), code, json.dumps(command))

    def test_joinsBeforeAnswer(self) -> None:
        """
        A client is told that it has subscribed once the bus knows that it is a member: the
        next command may come by another node.  What cannot be told delays no answer.
        """
        waiting = self.hold("setPresence")
        self.say({"token": "ada"})
        # Readers of patterns are no members.
        (answer,) = self.say({"id": 1, "subscribe": ["chat/*"]})
        self.assertIn("ok", answer)
        self.assertEqual(waiting, [])
        self.say({"unsubscribe": ["chat/*"]})
        self.assertEqual(self.say({"id": 2, "subscribe": ["chat/a"]}, {"id": 3, "ping": 1}), [])
        self.hub.publish("chat/a", "after")
        self.turn()
        heard = self.read()
        self.assertEqual(heard, [])
        heard = self.goOn(waiting)
        self.assertEqual([each.get("id") for each in heard], [2, None, 3])
        self.assertEqual(heard[1]["data"], "after")
        self.say({"id": 4, "subscribe": ["chat/b"]})
        waiting.pop().errback(Unavailable("no"))
        self.turn()
        self.assertEqual([each.get("id") for each in self.read()], [4])

    def test_nothingBeforeAnswer(self) -> None:
        """
        While the bus is not told, an interruption and the time of a heartbeat tell the client
        nothing of the names: the answer says where the reader stands before any message.
        """
        waiting = self.hold("setPresence")
        self.say({"token": "ada"})
        self.assertEqual(self.say({"id": 2, "subscribe": ["chat/a"]}), [])
        self.hub.publish("chat/a", "after")
        self.hub.fanout.interrupted()
        self.turn()
        self.turn(self.hub.fanout.heartbeat + 1)
        self.assertEqual(self.read(), [])
        heard = self.goOn(waiting)
        self.assertIn("ok", heard[0])
        self.assertEqual([each.get("data") for each in heard[1:]], ["after"])

    def test_leavesWithoutPresence(self) -> None:
        """
        Where no presence is kept, leaving is unsubscribing.
        """
        self.hub.attendance = None
        self.say({"token": "ada"}, {"subscribe": ["chat/a"]})
        self.assertEqual(self.say({"leave": ["chat/a"]}), [{"ok": {}}])
