"""
The records of TLS (RFC 8446 5.1), as far as they can be read without the keys: their
heads, and the hello with which a client begins.
"""

from __future__ import annotations

from typing import Final

# How many records a client may send that have no text, but tell TLS something: to take
# other keys, say, which takes forty times as long as to decrypt text.  It has hardly any
# to send in a day.
MOST_SILENT: Final = 100

# How many bytes the head of a record has.  The first tells its kind, the last two how
# many bytes follow.
_HEAD: Final = 5
_SIZE_AT: Final = 3

# The kinds of records that have messages of a handshake, and the data of programs.
_HANDSHAKE: Final = 22
_DATA: Final = 23

# How many bytes the head of a message has: its kind, and the size of the rest.
_MESSAGE_HEAD: Final = 4
_HELLO: Final = 1


class RecordCounter:
    """
    Counts the records that a client has sent whole, and of which the server has no text.

    @ivar silent: How many there are.  Whoever decrypts one that has text takes it off
        again.
    """

    __slots__ = ("_head", "_rest", "silent")

    def __init__(self) -> None:
        self.silent = 0
        # Of the record that comes: what has come of its head, and how many bytes of the
        # rest have not.
        self._head = b""
        self._rest = 0

    def take(self, data: bytes) -> None:
        """
        Count the records that end in what has come.
        """
        rest = self._rest
        if len(data) < rest:
            self._rest -= len(data)
            return
        if rest:
            self.silent += 1
        data, at = self._head + data[rest:], 0
        while len(data) - at >= _HEAD:
            end = at + _HEAD + int.from_bytes(data[at + _SIZE_AT : at + _HEAD], "big")
            if end > len(data):
                self._head, self._rest = b"", end - len(data)
                return
            self.silent += 1
            at = end
        self._head, self._rest = data[at:], 0


class HelloReader:
    """
    Reads what clients say of the size of their hello, in whatever records they send it.
    """

    __slots__ = ("_data", "_isOver", "_left", "_message")

    def __init__(self) -> None:
        # What has come of a record, unless its head is read; what has come of the head of
        # a message; and how many bytes of the message have not.
        self._data = self._message = b""
        self._left = 0
        self._isOver = False

    def largest(self, data: bytes) -> int:
        """
        Read what has come, up to what is no hello.

        @return: How many bytes the largest hello has that begins there, as its client
            says; 0 if none does.
        """
        largest, data, at = 0, self._data + data, 0
        while not self._isOver and len(data) - at >= _HEAD:
            end = at + _HEAD + int.from_bytes(data[at + _SIZE_AT : at + _HEAD], "big")
            kind, whole = data[at], min(end, len(data))
            if kind == _HANDSHAKE:
                largest = max(largest, self._read(data[at + _HEAD : whole]))
            self._isOver |= kind == _DATA
            at = end
            if end > len(data):
                # What is left of the record comes behind the same head.
                left = end - len(data)
                self._data = bytes([kind]) + data[1:_SIZE_AT] + left.to_bytes(2, "big")
                return largest
        self._data = data[at:]
        return largest

    def _read(self, data: bytes) -> int:
        """
        Read messages, or parts of them, and return the largest size.
        """
        largest = 0
        while data and not self._isOver:
            if self._left:
                count = min(self._left, len(data))
                self._left -= count
                data = data[count:]
                continue
            missing = _MESSAGE_HEAD - len(self._message)
            self._message += data[:missing]
            data = data[missing:]
            if self._message[0] != _HELLO:
                self._isOver = True
            elif len(self._message) == _MESSAGE_HEAD:
                self._left = int.from_bytes(self._message[1:], "big")
                self._message = b""
                largest = max(largest, self._left)
        return largest
