"""
Makes bytes that no client should send of those that well-behaved clients do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

# Pieces that mean something to one parser or another.
TOKENS: Final = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"\r\n\r\n", b"\xff", b"\x80", b"\x85", b"\x7f"),
    *(b"%", b"%2F", b"%2C", b"%00", b"%ff", b"%C3%28", b"%ed%a0%80", b"+", b"&", b"=", b"?", b"#"),
    *(b"/", b",", b"*", b"**", b"/**", b"$", b"$stats", b".", b"..", b":", b";", b'"', b"\\", b"'"),
    *(b"{", b"}", b"[", b"]", b"null", b"NaN", b"1e999", b"-0", b'"\\ud800"', b"\xed\xa0\x80"),
    *(b"0", b"-1", b"9999999999999999999", b"18446744073709551616", b"1" * 5000, b"0x10", b"1_0"),
    *(
        b"since=",
        b"since=k3f9a2-1",
        b"since=-3",
        b"since=earliest",
        b"since.a=",
        b"&a=%ff",
        b"wait=0",
    ),
    *(b"transport=", b"transport=poll", b"transport=sse", b"callback=f", b"limit=1", b"account=a"),
    *(b"GET ", b"POST ", b"HEAD ", b"PRI ", b" HTTP/1.0", b" HTTP/1.1", b" HTTP/2.0", b"http://a/"),
    *(b"Host: localhost\r\n", b"Host: \r\n", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n"),
    *(b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"),
    *(b"Connection: close\r\n", b"Upgrade: websocket\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"Origin: null\r\n", b"Origin: http://\xc3\xa4.example\r\n", b"Authorization: Bearer x\r\n"),
    *(b"Last-Event-ID: x\r\n", b'If-None-Match: "k3f9a2-1"\r\n', b"Prefer: wait=0\r\n", b" : \r\n"),
    *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"\xef\xbb\xbf", b"\xe2\x80\xa8"),
)

# How many bytes a mutated input may have.
MAX_SIZE: Final = 65536


class Mutator:
    """
    Makes other bytes of the bytes in a corpus.
    """

    def __init__(self, random: random.Random, tokens: Sequence[bytes] = TOKENS) -> None:
        """
        @param random: Decides everything.

        @param tokens: What is put into the bytes.
        """
        self._random = random
        self._tokens = tokens
        self._ways: Sequence[Callable[[bytes, Sequence[bytes]], bytes]] = (
            self._flip,
            self._set,
            self._delete,
            self._repeat,
            self._insert,
            self._insert,
            self._overwrite,
            self._splice,
            self._swap,
            self._cut,
        )

    def mutate(self, corpus: Sequence[bytes], most: int = 4) -> bytes:
        """
        Choose one of a corpus, and change it in some places, or in none.

        @param most: In how many places, at most.
        """
        data = self._random.choice(corpus)
        for _ in range(self._random.randint(0, most)):
            data = self._random.choice(self._ways)(data, corpus)[:MAX_SIZE]
        return data

    def split(self, data: bytes) -> list[bytes]:
        """
        Cut bytes into some pieces, as a network does.
        """
        if len(data) < 2 or self._random.random() < 0.5:
            return [data]
        count = self._random.randint(1, 4)
        places = sorted({0, len(data), *(self._random.randrange(len(data)) for _ in range(count))})
        return [data[start:end] for start, end in pairwise(places)]

    def _place(self, data: bytes) -> int:
        return self._random.randint(0, len(data))

    def _range(self, data: bytes) -> tuple[int, int]:
        start = self._place(data)
        size = self._random.choice((1, 1, 2, 4, 16, 64, 1024))
        return start, min(start + size, len(data))

    def _flip(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        if not data:
            return data
        at = self._random.randrange(len(data))
        changed = data[at] ^ 1 << self._random.randrange(8)
        return data[:at] + bytes((changed,)) + data[at + 1 :]

    def _set(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        at = self._place(data)
        return data[:at] + bytes((self._random.randrange(256),)) + data[at + 1 :]

    def _delete(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        start, end = self._range(data)
        return data[:start] + data[end:]

    def _repeat(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        start, end = self._range(data)
        times = self._random.choice((2, 2, 3, 10, 300))
        return data[:start] + data[start:end] * times + data[end:]

    def _insert(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        at = self._place(data)
        return data[:at] + self._random.choice(self._tokens) + data[at:]

    def _overwrite(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        token, at = self._random.choice(self._tokens), self._place(data)
        return data[:at] + token + data[at + len(token) :]

    def _splice(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        other = self._random.choice(corpus)
        return data[: self._place(data)] + other[self._place(other) :]

    def _swap(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        lines = data.split(b"\r\n")
        self._random.shuffle(lines)
        return b"\r\n".join(lines)

    def _cut(self, data: bytes, corpus: Sequence[bytes]) -> bytes:
        return data[: self._place(data)]
