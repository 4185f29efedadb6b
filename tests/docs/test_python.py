"""
The examples with the Python clients.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from comet.client import blocking
from tests.docs.running import EXAMPLES, load
from tests.edge.case import EdgeTestCase


class PythonTests(EdgeTestCase):
    """
    C{worker.py}, C{shop.py}, C{pricing.py}, C{weather.py} and C{relay.py}.
    """

    options = ("--open-read", "**")

    def setUp(self) -> None:
        """
        Make a client with the key.
        """
        self.url = f"http://127.0.0.1:{self.site.port}"
        self.publisher = blocking.Client(self.url, key=self.site.key)
        self.addCleanup(self.publisher.close)
        for name, value in (("COMET_URL", self.url), ("COMET_KEY", self.site.key)):
            self.patch(os, "environ", {**os.environ, name: value})

    def test_worker(self) -> None:
        """
        The worker does each job once, also when it is started again.
        """
        worker = load(EXAMPLES / "worker.py")
        done: list[Any] = []
        path = self.mktemp()
        for jobs in ([1, 2], [3]):
            client = blocking.Client(self.url)
            self.addCleanup(client.close)

            def do(job: Any, client: blocking.Client = client, last: int = jobs[-1]) -> None:
                done.append(job)
                if job == last:
                    client.close()

            self.patch(worker, "do", do)
            self.publisher.publishMany({"channel": "jobs/a", "data": job} for job in jobs)
            worker.work(client, "jobs/*", path)
        self.assertEqual(done, [1, 2, 3])

    def test_shop(self) -> None:
        """
        The shop tells of an order, also from several threads; and takes it without a server, too.
        """
        shop = load(EXAMPLES / "shop.py")
        # A visitor of the test has more patience.
        patient = blocking.Timing(timeout=30, patience=100)
        self.patch(shop, "Timing", lambda **given: patient)
        visitor = shop.makeApplication().test_client()
        answers: list[Any] = []

        def order(item: str) -> None:
            answers.append(visitor.application.test_client().post("/orders", data={"item": item}))

        threads = [threading.Thread(target=order, args=(f"tea {n}",)) for n in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        self.assertEqual([each.status_code for each in answers], [201] * 4)
        orders = self.publisher.subscribe("orders", since="earliest")
        found = [orders.next(60) for _ in range(4)]
        self.assertEqual(
            sorted(each.data["item"] for each in found if isinstance(each, blocking.Message)),
            ["tea 0", "tea 1", "tea 2", "tea 3"],
        )
        cursors = shop.nightly(self.publisher, {"tea": 2.5, "jam": 4.0})
        self.assertEqual(len(cursors), 2)
        os.environ["COMET_KEY"] = "0" * 20
        refused = shop.makeApplication().test_client().post("/orders", data={"item": "jam"})
        self.assertEqual((refused.status_code, refused.json), (201, {"item": "jam"}))

    def test_pricing(self) -> None:
        """
        Several processes store all prices, in batches; when the work is done again, nothing is
        stored twice.
        """
        prices = {f"item-{number}": number + 0.5 for number in range(1800)}
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            json.dump(prices, file)
        # Other examples publish to such channels, too.
        before = self.publisher.publish("work", "begins")
        for _ in range(2):
            command = [sys.executable, str(EXAMPLES / "pricing.py"), "week-7", path]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=100, env=dict(os.environ)
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, "1800 prices are stored, in 4 batches\n")
        with self.publisher.subscribe("prices/*", since=before) as reader:
            found = [reader.next(60) for _ in prices]
            self.assertEqual(
                {each.channel: each.data for each in found if isinstance(each, blocking.Message)},
                {f"prices/{item}": price for item, price in prices.items()},
            )
            self.assertIsNone(reader.next(0.1))

    def test_weather(self) -> None:
        """
        The site publishes a report, and shows what it follows.
        """
        application = load(EXAMPLES / "weather.py").application

        async def ask(state: Any, method: str, path: str, body: bytes = b"") -> Any:
            sent: list[Any] = []

            async def receive() -> Any:
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "method": method, "path": path, "headers": []}
            await application({**scope, "query_string": b"", "state": dict(state)}, receive, send)
            return sent[0]["status"], json.loads(sent[1]["body"])

        async def play() -> None:
            async with application.router.lifespan_context(application) as state:
                status, answer = await ask(state, "POST", "/weather/oslo", b'{"rain": true}')
                self.assertEqual((status, list(answer)), (201, ["cursor"]))
                while True:
                    status, latest = await ask(state, "GET", "/weather")
                    if latest:
                        break
                    await asyncio.sleep(0.01)
                self.assertEqual((status, latest), (200, {"weather/oslo": {"rain": True}}))

        asyncio.run(asyncio.wait_for(play(), 60))

    def test_relay(self) -> Deferred[None]:
        """
        The relay copies each message once, with its event.
        """
        from comet.client import twisted

        relay = load(EXAMPLES / "relay.py")
        source = twisted.Client(self.url)
        target = twisted.Client(self.url, key=self.site.key)
        publish: Callable[..., Deferred[str]] = target.publish

        def renamed(channel: str, *given: Any) -> Deferred[str]:
            return publish(f"copy/{channel}", *given)

        self.patch(target, "publish", renamed)

        async def play() -> None:
            first = await publish("relayed", 0)
            path = self.mktemp()
            with open(path, "w") as file:
                file.write(first)
            relaying = Deferred.fromCoroutine(relay.relay(source, target, ["relayed"], path))
            await publish("relayed", 1, "one")
            copies = source.subscribe("copy/relayed", since="earliest")
            item = await copies.next()
            assert isinstance(item, twisted.Message)
            self.assertEqual((item.data, item.event), (1, "one"))
            # The relay may still wait for the answer.
            await source.close()
            await relaying
            await target.close()

        return Deferred.fromCoroutine(play())
