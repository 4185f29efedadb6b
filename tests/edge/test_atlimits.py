"""
Tests of requests that are just within the fixed limits of the book, and just beyond
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.edge.case import EdgeTestCase
from tests.edge.connections import ask
from tests.edge.envelopes import problemOf


class AtLimitsTests(EdgeTestCase):
    """
    The lean edge, which is the default.
    """

    options: Sequence[str] = ("--open", "open/**")

    def asked(self) -> Iterator[tuple[str, str, int, str]]:
        """
        Yield what is read: the target just within a limit, that beyond it, and the
        status and code of the latter.
        """
        path = f"/channels/{self.channel('c')}?transport="
        more = "&".join(f"p{number}=" for number in range(255))
        yield f"{path}poll&{more}", f"{path}poll&{more}&q=", 400, "badRequest"
        function = "f" * 128
        yield f"{path}jsonp&callback={function}", f"{path}jsonp&callback={function}f", 400, ""
        name = "open/" + "n" * 250
        yield f"/channels/{name}?transport=poll", f"/channels/{name}n?transport=poll", 400, ""
        names = ",".join(f"open/{number}" for number in range(100))
        yield f"/channels/{names}?transport=poll", f"/channels/{names},z?transport=poll", 400, ""

    def test_reading(self) -> None:
        """
        Parameters, the characters of a callback, the bytes of a name, and names.
        """
        ask(self.site, "POST", f"/channels/{self.channel('c')}", {}, b"x")
        headers = {"Sec-Fetch-Site": "same-origin"}
        for within, beyond, status, code in self.asked():
            target = within if "jsonp" not in within else f"{within}&since=earliest"
            self.assertEqual(ask(self.site, "GET", target, headers).status, 200, target[-60:])
            answer = ask(self.site, "GET", beyond, headers)
            self.assertEqual(answer.status, status, beyond[-60:])
            found = problemOf(answer.status, answer.headers, answer.body)
            self.assertIn(found, (code,) if code else ("badRequest", "badChannel"), beyond[-60:])

    def test_publishing(self) -> None:
        """
        The characters of an event's name and of an idempotency key, the bytes of a
        message, and the lines of a batch.
        """
        path = f"/channels/{self.channel('c')}"
        line = b'{"channel":"%b","data":1}\n' % self.channel("c").encode("ascii")
        lines = {"Content-Type": "application/x-ndjson"}
        for target, headers, body, status in (
            (path, {"Comet-Event": "e" * 64}, b"x", 201),
            (path, {"Comet-Event": "e" * 65}, b"x", 400),
            (path, {"Idempotency-Key": "k" * 128}, b"x", 201),
            (path, {"Idempotency-Key": "k" * 129}, b"x", 400),
            (path, {}, b"x" * 65536, 201),
            (path, {}, b"x" * 65537, 413),
            ("/publish", lines, line * 1000, 201),
            ("/publish", lines, line * 1001, 400),
        ):
            answer = ask(self.site, "POST", target, headers, body)
            self.assertEqual(answer.status, status, (target, str(headers)[:40], len(body)))


class TwistedAtLimitsTests(AtLimitsTests):
    """
    Twisted's edge alone.
    """

    options = (*AtLimitsTests.options, "--edge", "twisted")
