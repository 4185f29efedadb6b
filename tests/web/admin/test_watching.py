"""
Tests of L{comet.web.admin}: nodes, channels and clients by HTTP.
"""

from __future__ import annotations

from typing import Any

from tests.transports.case import KEY, Response, get
from tests.web.admin.test_revoking import ADMIN, AdminCase

PATHS = ("/admin/nodes", "/admin/channels", "/admin/channels/a", "/admin/clients")


class WatchingTests(AdminCase):
    """
    What an admin sees.
    """

    def look(self, path: str) -> Any:
        """
        Ask as the admin.
        """
        response = self.asked(path)
        self.assertEqual(response.status, 200, response.body)
        self.assertEqual(response.header("Cache-Control"), "no-store, no-transform")
        return response.json

    def asked(self, path: str, key: str = ADMIN) -> Response:
        """
        Ask with a key.
        """
        return self.ask(get(path, *((f"Authorization: Bearer {key}",) if key else ())))

    def read(self, *paths: str) -> None:
        """
        Begin streams.
        """
        for path in paths:
            self.connect().send(get(f"/channels/{path}?transport=stream"))
        self.turn()

    def test_nodes(self) -> None:
        """
        The node tells what passes through it.
        """
        self.read("a")
        self.publish("a", 1, 2)
        value = self.look("/admin/nodes")
        [node] = value.pop("nodes")
        self.assertEqual(value, {"count": 1, "complete": True})
        self.assertEqual(node["node"], self.hub.nodes.name)
        self.assertEqual((node["ready"], node["behind"]), (True, 0))
        self.assertEqual(node["readers"], {"stream": 1, "poll": 0})
        self.assertEqual(node["transports"]["stream"]["open"], 1)
        self.assertEqual(node["delivered"], 2)
        self.hub.isLeaving = True
        [node] = self.look("/admin/nodes")["nodes"]
        self.assertEqual((node["ready"], node["reason"]), (False, "draining"))

    def test_channels(self) -> None:
        """
        What is read most comes first.
        """
        self.read("b", "b", "a", "c/*")
        rows = [{"channel": "b", "readers": 2}, {"channel": "a", "readers": 1}]
        all_ = [*rows, {"channel": "c/*", "readers": 1}]
        self.assertEqual(
            self.look("/admin/channels"), {"count": 3, "channels": all_, "complete": True}
        )
        self.assertEqual(
            self.look("/admin/channels?limit=2"),
            {"count": 3, "channels": rows, "more": True, "complete": True},
        )
        found = self.look("/admin/channels?match=c/*/d")
        self.assertEqual(found["channels"], [])
        found = self.look("/admin/channels?match=c/x")
        self.assertEqual(found["channels"], all_[2:])

    def test_channel(self) -> None:
        """
        A channel is told of with its readers and newest messages, and with its members
        where presence of it is kept.
        """
        self.read("a/b", "a/*", "c")
        self.publish("a/b", 1, 2, {"x": "y"})
        value = self.look("/admin/channels/a/b?limit=2")
        self.assertEqual(value["channel"], "a/b")
        self.assertEqual(value["count"], 2)
        self.assertEqual([each["channels"] for each in value["readers"]], [["a/b"], ["a/*"]])
        self.assertEqual([each["data"] for each in value["messages"]], [2, {"x": "y"}])
        self.assertEqual(set(value["messages"][0]), {"channel", "cursor", "time", "data"})
        self.assertNotIn("members", value)
        self.hub.keepPresence("a/*")
        self.addCleanup(self.hub.attendance.stop)  # type: ignore[union-attr]
        self.turn()
        members = self.look("/admin/channels/a/b")["members"]
        self.assertEqual((members["count"], members["members"]), (0, []))

    def test_clients(self) -> None:
        """
        Readers are listed, by the name of their client if one is given.
        """
        self.read("a", "a")
        value = self.look("/admin/clients?limit=1")
        self.assertEqual((value["count"], value["more"]), (2, True))
        [reader] = value["readers"]
        self.assertEqual(
            reader,
            {
                "node": self.hub.nodes.name,
                "known": "not",
                "kind": "stream",
                "state": "live",
                "names": 1,
                "channels": ["a"],
            },
        )
        value = self.look("/admin/clients?client=ada")
        self.assertEqual(value, {"count": 0, "readers": [], "complete": True})

    def test_refuses(self) -> None:
        """
        Others than the admin see nothing, and what makes no sense is refused.
        """
        for path in PATHS:
            self.assertProblem(self.asked(path, ""), 401, "unauthorized")
            self.assertProblem(self.asked(path, KEY), 403, "forbidden")
            asked = get(path, f"Authorization: Bearer {ADMIN}", "Origin: https://evil.example")
            self.assertProblem(self.ask(asked), 403, "forbidden")
        for path, status, code in (
            ("/admin/channels?limit=0", 400, "badRequest"),
            ("/admin/clients?limit=x", 400, "badRequest"),
            ("/admin/channels?match=a,b", 400, "badChannel"),
            ("/admin/channels/a,b", 400, "badRequest"),
            ("/admin/channels/a/*", 400, "badChannel"),
            ("/admin/channels/$control", 403, "forbidden"),
            ("/admin/channels/$nodes", 403, "forbidden"),
            ("/admin/nodes/a", 404, "notFound"),
            ("/admin/clients/a", 404, "notFound"),
        ):
            self.assertProblem(self.asked(path), status, code)
