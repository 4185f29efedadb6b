"""
The clients that read as browsers without C{EventSource} do: multipart, the
forever frame, and JSONP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from tests.edge.clients import EndlessClient
from tests.edge.connections import Response, ResponseHead, Site, Violation
from tests.edge.envelopes import eventOf, readJson, readPollBody
from tests.edge.polling import LongpollClient

CALLBACK = "app.on$message"

_PART = re.compile(rb"\r?\n?Content-Type: application/json\r\n\r\n(.*)", re.DOTALL)
_TAGS = re.compile(
    r'<!doctype html>|</?(?:html|head|body|title|meta)(?: lang="en"| charset="utf-8")?>', re.I
)


class MultipartClient(EndlessClient):
    """
    HTTP streaming as C{multipart/x-mixed-replace}.
    """

    name = "multipart"
    accept = "multipart/x-mixed-replace"

    def __init__(self, site: Site, **settings: int) -> None:
        super().__init__(site, **settings)
        self._pending = b""
        self._delimiter = b""
        self._isFirst = True
        self._isOver = False

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        # The first delimiter has no line break before it (RFC 2046, 5.1.1).
        self._pending, self._isFirst, self._isOver = b"\r\n", True, False
        super()._open(since, byName, parameters)

    def _checkHead(self, head: ResponseHead, contentType: str) -> None:
        given = head.headers.get("content-type", "")
        found = re.fullmatch(r"multipart/x-mixed-replace; ?boundary=([\w.'+-]{1,70})", given)
        if found is None:
            raise Violation(f"multipart: Content-Type is {given!r}")
        self._delimiter = b"\r\n--" + found[1].encode()
        super()._checkHead(head, given)

    def _feed(self, piece: bytes) -> None:
        self._pending += piece
        while (start := self._pending.find(self._delimiter)) >= 0 and not self._isOver:
            behind = self._pending[start + len(self._delimiter) :]
            if len(behind) < 2:
                return
            if behind[:2] not in (b"\r\n", b"--"):
                raise Violation(f"a boundary is followed by {behind[:20]!r}")
            part = self._pending[:start]
            self._isOver = behind.startswith(b"--")
            self._pending = behind[2:]
            if self._isFirst:
                if part:
                    raise Violation(f"before the first boundary: {part[:100]!r}")
                self._isFirst = False
            else:
                self._part(part)
        if self._isOver and self._pending not in (b"", b"\r", b"\r\n"):
            raise Violation(f"behind the last part: {self._pending[:100]!r}")

    def _part(self, part: bytes) -> None:
        found = _PART.fullmatch(part)
        if found is None:
            raise Violation(f"not a part: {part[:100]!r}")
        # A browser ends a part wherever it finds the boundary.
        if self._delimiter[4:] in found[1]:
            raise Violation(f"the boundary is in a part: {part!r}")
        self._heard(eventOf(readJson(found[1])))

    def _finished(self) -> None:
        if not self._isOver:
            raise Violation(f"the response ends before the last boundary: {self._pending[:100]!r}")


class IframeClient(EndlessClient):
    """
    The forever frame.  With an odd C{variant} its scripts call a function,
    otherwise they post messages.
    """

    name = "iframe"
    contentType = "text/html; charset=utf-8"

    def __init__(self, site: Site, **settings: int) -> None:
        super().__init__(site, **settings)
        self._pending = b""
        self._head = b""
        self._end = b""

    @property
    def _origin(self) -> str:
        scheme = "http" if self.site.tls is None else "https"
        return f"{scheme}://{self.site.host or f'127.0.0.1:{self.site.port}'}"

    def _target(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> str:
        if self.variant % 2:
            parameters = {"callback": CALLBACK, **parameters}
        elif self.variant % 4:
            parameters = {"origin": self._origin, **parameters}
        return super()._target(since, byName, parameters)

    def _open(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        self._pending, self._head = b"", b""
        super()._open(since, byName, parameters)

    def _checkHead(self, head: ResponseHead, contentType: str) -> None:
        super()._checkHead(head, contentType)
        policy = head.headers.get("content-security-policy", "")
        directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
        expected = {"default-src": "'none'", "script-src": "'unsafe-inline'"}
        if {key: directives.get(key) for key in expected} != expected:
            raise Violation(f"iframe: Content-Security-Policy is {policy!r}")
        if "frame-ancestors" not in directives:
            raise Violation(f"any page may put it into a frame: {policy!r}")

    def _feed(self, piece: bytes) -> None:
        # HTML ends a script at the first of these, also within a string.
        *scripts, self._pending = (self._pending + piece).split(b"</script>")
        for script in scripts:
            before, found, call = script.partition(b"<script>")
            if not found:
                raise Violation(f"not a script: {script[-200:]!r}")
            self._between(before.decode("utf-8"))
            self._called(call.decode("utf-8"))

    def _between(self, text: str) -> None:
        if self._begun:
            if text.strip():
                raise Violation(f"between two scripts: {text[:100]!r}")
            return
        if not text.startswith("<!DOCTYPE html>") or '<meta charset="utf-8">' not in text:
            raise Violation(f"not a page: {text[:200]!r}")
        if len(text) < 1024:
            raise Violation(f"browsers wait for more than {len(text)} bytes")
        if "<" in _TAGS.sub("", text):
            raise Violation(f"unknown tags: {text[:300]!r}")

    def _called(self, call: str) -> None:
        before, after = f"parent.{CALLBACK}(", ");"
        if not self.variant % 2:
            before, after = "parent.postMessage(", f',"{self._origin}");'
        if not call.startswith(before) or not call.endswith(after):
            raise Violation(f"not a call: {call[:200]!r}")
        self._heard(eventOf(readJson(call[len(before) : -len(after)])))

    def _finished(self) -> None:
        if b"<script>" in self._pending:
            raise Violation(f"the page ends in a script: {self._pending[:100]!r}")


class JsonpClient(LongpollClient):
    """
    Long-polling through a C{script} element.  With an odd C{variant} the request
    names its callback only, from which the server knows the transport.
    """

    name = "jsonp"
    pageHeaders: ClassVar[Mapping[str, str]] = {"Sec-Fetch-Site": "same-origin"}

    def _target(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> str:
        target = super()._target(since, byName, {"callback": CALLBACK, **parameters})
        return target.replace(f"transport={self.name}&", "") if self.variant % 2 else target

    def _unchanged(self, answer: Response) -> None:
        raise Violation("a script that was not modified does not run")

    def _changed(self, answer: Response) -> None:
        kind = "application/javascript; charset=utf-8"
        self._checkHead(ResponseHead(answer.status, answer.headers), kind)
        if answer.headers.get("content-disposition") != "attachment; filename=f.txt":
            raise Violation(f"not to be opened: {answer.headers.get('content-disposition')!r}")
        before, after = f"/**/{CALLBACK}(".encode(), b");"
        if not answer.body.startswith(before) or not answer.body.endswith(after):
            raise Violation(f"not a call: {answer.body[:200]!r}")
        body = readPollBody(answer.body[len(before) : -len(after)] + b"\n")
        if body.more and len(body.events) == 1:
            raise Violation("more, but nothing here")
        self._idle = len(body.events) == 1
        for event in body.events:
            self._heard(event)
