"""
Messages that a wire format could take for syntax of its own.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

_STRINGS: Final = (
    "",
    " ",
    " a",
    "\n",
    "\r",
    "\r\n",
    "a\rb\nc\r\nd\n\re",
    "\n\n",
    ": comment\ndata: x\n\nevent: $close\ndata: {}",
    "id: 7",
    "\0",
    "a\0b\0",
    '"',
    "\\",
    "\\\"\\'`${x}",
    "</script>",
    "<!--<script>",
    "-->",
    "]]>",
    "</html>",
    "\u2028\u2029",
    "\u0085\ufeff",
    "\ufeff{}",
    "\U0001f600\U0010ffff\ud7ff\ue000",
    "\x7f\x1b[2J\x08",
    "\r\n--comet\r\nContent-Type: text/html\r\n\r\n",
    "*/alert(1)/*",
    ");alert(1);//",
    "0\r\n\r\n",
    '\n{"cursor":"x-1"}\n',
    "null",
    "NaN",
    "é" * 3000,
    "x" * 60_000,
    "<" * 9_000,
)


def _deep(levels: int) -> Any:
    value: Any = []
    for level in range(levels):
        value = {"": value} if level % 2 else [value]
    return value


_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -(2**63),
    2**64 - 1,
    1.5e300,
    -0.5,
    [],
    {},
    {"cursor": "x-1", "close": {"code": "draining", "message": "", "retry": 1}},
    {"cursor": "x-1", "gap": ["x"]},
    {"\u2028</script>\0": ["\r\n", {"a": [None, False, ""]}]},
    _deep(60),
)

_BINARY: Final = (b"", b"\0\xff\xfe\r\n", bytes(range(256)) * 40)

_EVENTS: Final = ("a b", "<é>\u2028", "data: x", "\U0001f600", "</script>")

_BREAK: Final = re.compile("\r\n|\r|\n")


def awkwardLines(channel: str, count: int) -> list[dict[str, Any]]:
    """
    Return so many lines that publish such messages, all of them in turn.
    """
    lines: list[dict[str, Any]] = [{"data": each} for each in (*_STRINGS, *_VALUES)]
    lines += [{"data": base64.b64encode(each).decode(), "encoding": "base64"} for each in _BINARY]
    lines += [
        {"data": "x", "event": each} for each in ("a b", "<é>\u2028", "data: x", "\U0001f600")
    ]
    return [{"channel": channel, **lines[n % len(lines)]} for n in range(count)]


def asText(data: Any) -> Any:
    """
    Return a value as an C{sse} reader hears it, parsed as JSON where possible:
    C{sse} does not tell a string from other values, nor one line break from
    another.
    """
    text = _BREAK.sub("\n", data) if isinstance(data, str) else json.dumps(data)
    try:
        return json.loads(text)
    except ValueError:
        return text
