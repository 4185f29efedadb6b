"""
Tests of L{comet.web.admin}: orders by HTTP.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import formatEvent, globalLogPublisher
from twisted.web.resource import Resource

from comet.access.accesssettings import AccessSettings
from comet.access.rights import Access
from comet.errors import Unavailable
from comet.framing.orders import MAX_ORDER
from comet.http.credentials import Credentials
from comet.model.clients import Client, Known
from comet.model.messages import Publication
from comet.web.resources import CometResource
from tests.transports.case import KEY, HubTestCase, Response, get, request

ADMIN = "the-admin-key-of-these-tests"


class AdminCase(HubTestCase):
    """
    A server with an admin key of its own.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        self.hub.access = Access(settings=AccessSettings((KEY,), (ADMIN,)))
        self.hub.leases.now = self.clock.seconds
        self.addCleanup(self.hub.control.stop)

    def order(self, path: str, value: Any, *headers: str, key: str = ADMIN) -> Response:
        """
        Give an order.
        """
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        shown = (f"Authorization: Bearer {key}",) if key else ()
        return self.ask(request("POST", path, *shown, *headers, body=body))

    def listed(self, query: str = "") -> Any:
        """
        List what is in force.
        """
        response = self.ask(get(f"/admin/revocations{query}", f"Authorization: Bearer {ADMIN}"))
        self.assertEqual(response.status, 200)
        self.assertEqual(response.header("Cache-Control"), "no-store, no-transform")
        return response.json


class OrderTests(AdminCase):
    """
    What an admin may order.
    """

    def test_revoke(self) -> None:
        """
        What is revoked is listed until it is deleted, once.
        """
        made = self.order("/admin/revoke", {"client": "ada", "channels": ["a/*"], "seconds": 60})
        self.assertEqual(made.status, 201)
        [id] = made.json.values()
        told = {
            "id": id,
            "client": "ada",
            "channels": ["a/*"],
            "issuedBefore": 1000.0,
            "until": 1060.0,
        }
        self.assertEqual(self.listed(), {"revocations": [told]})
        path = f"/admin/revocations/{id}"
        key = f"Authorization: Bearer {ADMIN}"
        self.assertEqual(self.ask(get(path, key, method="DELETE")).status, 204)
        self.assertEqual(self.listed(), {"revocations": []})
        self.assertProblem(self.ask(get(path, key, method="DELETE")), 404, "notFound")

    def test_logs(self) -> None:
        """
        What is ordered is logged, and from where; not the key.
        """
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        [id] = self.order("/admin/revoke", {"client": "ada\n"}).json.values()
        self.ask(get(f"/admin/revocations/{id}", f"Authorization: Bearer {ADMIN}", method="DELETE"))
        told = [formatEvent(event) for event in events if "asked" in event]
        peer = "an admin at 127.0.0.1 orders"
        self.assertEqual(
            told,
            [
                f'{peer} POST /admin/revoke: {{"client": "ada\\n"}}',
                f"{peer} DELETE /admin/revocations/{id}: {id}",
            ],
        )

    def test_pages(self) -> None:
        """
        Many are listed in pages.
        """
        for number in range(5):
            self.order("/admin/revoke", {"token": f"t{number}"})
        page = self.listed("?limit=3")
        self.assertIs(page["more"], True)
        rest = self.listed(f"?limit=3&after={page['after']}")
        self.assertNotIn("more", rest)
        tokens = [each["token"] for each in (*page["revocations"], *rest["revocations"])]
        self.assertEqual(sorted(tokens), [f"t{number}" for number in range(5)])

    def test_seconds(self) -> None:
        """
        Something is revoked for as long as the settings say, unless the order says it.
        """
        for seconds in (None, 500.0):
            self.hub.configure(self.hub.settings.__class__(revokedSeconds=seconds))
            self.order("/admin/revoke", {"client": "ada"})
        untils = sorted(each.get("until", 0) for each in self.listed()["revocations"])
        self.assertEqual(untils, [0, 1500.0])

    def test_disconnect(self) -> None:
        """
        The readers of the client end, and are counted.
        """

        class Known_(Access):
            def identify(self, credentials: Credentials) -> Client:
                known = super().identify(credentials)
                assert isinstance(known, Client)
                return Client("ada", known=Known.APPLICATION) if known.isAnonymous else known

        self.hub.access = Known_(settings=self.hub.access.settings)  # type: ignore[attr-defined]
        stream = self.connect()
        stream.send(get("/channels/a?transport=stream"))
        poll = self.connect()
        poll.send(get("/channels/a?transport=longpoll"))
        self.turn()
        stream.take()
        response = self.order("/admin/disconnect", {"client": "ada"})
        self.assertEqual((response.status, response.json), (200, {"disconnected": 2}))
        for wire in (stream, poll):
            self.assertIn(b'"close":{"code":"disconnected"', wire.take())
        response = self.order("/admin/disconnect", {"client": "bob"})
        self.assertEqual(response.json, {"disconnected": 0})

    def test_belowPath(self) -> None:
        """
        The resources work below any path.
        """
        root = Resource()
        root.putChild(b"push", CometResource(self.hub))
        shown = f"Authorization: Bearer {ADMIN}"
        asked = request("POST", "/push/admin/revoke", shown, body=b'{"client":"ada"}')
        self.assertEqual(self.ask(asked, self.makeSite(root)).status, 201)


class RefusalTests(AdminCase):
    """
    What is refused.
    """

    PATHS = (
        ("POST", "/admin/disconnect"),
        ("POST", "/admin/revoke"),
        ("GET", "/admin/revocations"),
        ("DELETE", "/admin/revocations/0"),
    )

    def test_others(self) -> None:
        """
        Without the admin key nothing is answered but that it is needed; in the places in
        which keys do not count it is no key.
        """
        bearer = "Authorization: Bearer"
        for method, path in self.PATHS:
            body = b'{"client":"ada"}' if method == "POST" else None
            for headers, query, status, code in (
                ((), "", 401, "unauthorized"),
                ((f"{bearer} {KEY}",), "", 403, "forbidden"),
                ((f"{bearer} nothing",), "", 401, "unauthorized"),
                ((), f"?token={ADMIN}", 401, "unauthorized"),
                ((f"Cookie: comet_token={ADMIN}",), "", 401, "unauthorized"),
            ):
                asked = request(method, path + query, *headers, body=body)
                response = self.ask(asked)
                self.assertProblem(response, status, code)
                self.assertNotIn(ADMIN.encode(), response.body)
        self.assertEqual(self.bus.end.position, 0)

    def test_atHead(self) -> None:
        """
        Others are refused before they have sent a body.
        """
        wire = self.connect()
        wire.send(b"POST /admin/revoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        self.turn()
        self.assertIn(b"401", wire.take().split(b"\r\n")[0])

    def test_pages(self) -> None:
        """
        A page of another origin may not ask, also if it may read channels, and is given
        no header that lets it read the answer.
        """
        for origin in ("https://friend.example", "https://evil.example", "null"):
            for method, path in (*self.PATHS, ("OPTIONS", "/admin/revoke")):
                shown = (f"Authorization: Bearer {ADMIN}", f"Origin: {origin}")
                body = b'{"client":"ada"}' if method == "POST" else None
                response = self.ask(request(method, path, *shown, body=body))
                self.assertProblem(response, 403, "forbidden")
                self.assertIsNone(response.header("Access-Control-Allow-Origin"))
                self.assertIsNone(response.header("Access-Control-Allow-Credentials"))
        self.assertEqual(self.bus.end.position, 0)
        own = self.order("/admin/revoke", {"client": "ada"}, "Origin: http://localhost")
        self.assertEqual(own.status, 201)

    def test_bodies(self) -> None:
        """
        A body that is no order is refused, with its code.
        """
        for value, status, code in (
            (b"client=ada", 400, "badMessage"),
            (b"", 400, "badMessage"),
            ([], 400, "badRequest"),
            ({"client": "ada", "token": "t"}, 400, "badRequest"),
            ({"client": "ada", "retry": 1}, 400, "badRequest"),
            (b" " * (MAX_ORDER + 1), 413, "tooLarge"),
        ):
            for path in ("/admin/revoke", "/admin/disconnect"):
                self.assertProblem(self.order(path, value), status, code)

    def test_unreadable(self) -> None:
        """
        What cannot be read is listed by its id, and can be deleted by it.
        """
        change = Publication(("$control",), b"7", "revoke")
        for key in ("x" * 128, "k/1"):
            self.successResultOf(self.bus.putState(change, key, None, 9))
        shown = f"Authorization: Bearer {ADMIN}"
        listed = self.ask(request("GET", "/admin/revocations", shown))
        self.assertEqual(
            json.loads(listed.body), {"revocations": [], "unreadable": ["k/1", "x" * 128]}
        )
        for path, status in (("k%2f1", 204), ("k%2f1", 404), ("x" * 128, 204), ("x" * 129, 404)):
            deleted = self.ask(request("DELETE", f"/admin/revocations/{path}", shown))
            self.assertEqual(deleted.status, status, path)
        listed = self.ask(request("GET", "/admin/revocations", shown))
        self.assertEqual(json.loads(listed.body), {"revocations": []})

    def test_elsewhere(self) -> None:
        """
        Other paths and methods lead nowhere.
        """
        shown = f"Authorization: Bearer {ADMIN}"
        for method, path, status in (
            ("GET", "/admin/", 404),
            ("GET", "/admin/what", 404),
            ("POST", "/admin/revoke/x", 404),
            ("GET", "/admin/revocations/x", 404),
            ("DELETE", "/admin/revocations", 404),
            ("DELETE", "/admin/revocations/x/y", 404),
            ("DELETE", "/admin/revocations/%2e%2e", 404),
            ("GET", "/admin/revoke", 405),
            ("POST", "/admin/revocations", 405),
        ):
            body = b"{}" if method == "POST" else None
            response = self.ask(request(method, path, shown, body=body))
            self.assertEqual(response.status, status, (method, path))

    def test_unavailable(self) -> None:
        """
        While the bus is down, each is answered with that.
        """
        for method in ("putState", "dropState", "readState", "publish"):
            self.patch(self.bus, method, lambda *given: fail(Unavailable("down")))
        for method, path in self.PATHS:
            body = b'{"client":"ada"}' if method == "POST" else None
            shown = f"Authorization: Bearer {ADMIN}"
            response = self.ask(request(method, path, shown, body=body))
            self.assertProblem(response, 503, "unavailable")

    def test_lookedUp(self) -> None:
        """
        Where it takes time to find out which client it is, the others are refused then.
        """
        found: list[Deferred[Client]] = []

        class Slow(Access):
            def identify(self, credentials: Credentials) -> Deferred[Client]:
                found.append(Deferred())
                return found[-1]

        self.hub.access = Slow()
        for client, status in ((Client("ada"), b"403"), (Client("root", mayAdmin=True), b"201")):
            wire = self.connect()
            wire.send(request("POST", "/admin/revoke", body=b'{"client":"bob"}'))
            self.turn()
            found[-1].callback(client)
            self.turn()
            self.assertIn(status, wire.take().split(b"\r\n")[0])
