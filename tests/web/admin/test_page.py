"""
Tests of the admin page as it is served; and of what an admin changes of a channel.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher

from comet.web.pages import readFolder
from tests.transports.case import KEY, get, request
from tests.web.admin.test_revoking import ADMIN, AdminCase
from tests.web.test_pages import Links


class PageTests(AdminCase):
    """
    The page, which holds nothing, and its files.
    """

    def test_page(self) -> None:
        """
        It is served without a key, with a policy that allows only files of this server, and
        obeys it; and all that it refers to is there.
        """
        for site in (self.site, self.makePlainSite(self.site.resource)):
            response = self.ask(get("/admin"), site)
            self.assertEqual(response.status, 200)
            self.assertEqual(response.header("Content-Type"), "text/html; charset=utf-8")
            self.assertEqual(response.header("X-Frame-Options"), "DENY")
            policy = response.header("Content-Security-Policy") or ""
            directives = dict(each.split(" ", 1) for each in policy.split("; "))
            self.assertEqual(set(directives.values()), {"'self'", "'none'"})
            found = Links(response.body.decode("utf-8"))
            self.assertEqual(found.inline, [])
            addresses = [each for each in found.addresses if not each.startswith("#")]
            self.assertGreater(len(addresses), 3)
            for address in addresses:
                self.assertNotRegex(address, r"^(/|[a-z]+:)")
                self.assertEqual(self.ask(get("/" + address), site).status, 200, address)

    def test_importsExist(self) -> None:
        """
        Every script that a script imports is served.
        """
        for name, file in readFolder("admin").items():
            for found in re.findall(r'from "(\.[^"]+)"', file.body.decode("utf-8")):
                path = found[2:] if found.startswith("../") else f"/adminpage{found[1:]}"
                self.assertEqual(self.ask(get(path)).status, 200, (name, found))

    def test_elsewhere(self) -> None:
        """
        The page is at its own path alone, can only be read, and not by another name of
        the host.
        """
        for path in ("/admin/", "/admin/page.js", "/adminpage", "/adminpage/index.html"):
            self.assertProblem(self.ask(get(path)), 404, "notFound")
        self.assertProblem(self.ask(request("POST", "/admin")), 405, "methodNotAllowed")
        foreign = get("/admin").replace(b"Host: localhost", b"Host: evil.example")
        self.assertProblem(self.ask(foreign), 421, "wrongHost")


class ChangingTests(AdminCase):
    """
    Publishing, and deleting what a channel holds.
    """

    def test_publishes(self) -> None:
        """
        A message is published as anyone with the key would do it, once for one key of
        idempotency.
        """
        again = ("Content-Type: application/json", "Idempotency-Key: k1")
        first = self.order("/admin/channels/chat/a", {"n": 1}, *again)
        self.assertEqual(first.status, 201)
        self.assertEqual(self.order("/admin/channels/chat/a", {"n": 1}, *again).json, first.json)
        [message] = self.held("chat/a")
        self.assertEqual((message["data"], message["cursor"]), ({"n": 1}, first.json["cursor"]))

    def test_deletes(self) -> None:
        """
        What a channel holds is deleted.
        """
        self.publish("chat/a", 1, 2)
        deleted = self.ask(
            get("/admin/channels/chat/a", f"Authorization: Bearer {ADMIN}", method="DELETE")
        )
        self.assertEqual(deleted.status, 204)
        self.assertEqual(self.held("chat/a"), [])

    def test_refusesOthers(self) -> None:
        """
        It takes the admin key, a page of this server, and one channel's name.
        """
        path = "/admin/channels/a"
        self.assertProblem(self.order(path, 1, key=""), 401, "unauthorized")
        self.assertProblem(self.order(path, 1, key=KEY), 403, "forbidden")
        for key, code in (("", "unauthorized"), (KEY, "forbidden")):
            shown = (f"Authorization: Bearer {key}",) if key else ()
            self.assertEqual(self.ask(get(path, *shown, method="DELETE")).json["code"], code)
        foreign = self.order(path, 1, "Origin: https://a.example")
        self.assertProblem(foreign, 403, "forbidden")
        self.assertProblem(self.order("/admin/channels/a/*", 1), 400, "badChannel")
        self.assertProblem(self.order("/admin/channels", 1), 400, "badChannel")
        self.assertEqual(self.held("a"), [])

    def test_logs(self) -> None:
        """
        Both are logged with where they came from, but not what was published.
        """
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.order("/admin/channels/a", "secret")
        self.ask(get("/admin/channels/a", f"Authorization: Bearer {ADMIN}", method="DELETE"))
        told = [formatEvent(event) for event in events if "asked" in event]
        peer = "an admin at 127.0.0.1 orders"
        self.assertEqual(
            told,
            [
                f"{peer} POST /admin/channels/a: publish 8 bytes",
                f"{peer} DELETE /admin/channels/a: delete what is held",
            ],
        )

    def held(self, channel: str) -> Any:
        """
        Return the messages that a channel holds.
        """
        shown = get(f"/admin/channels/{channel}", f"Authorization: Bearer {ADMIN}")
        return self.ask(shown).json["messages"]
