"""
Compares what the nodes are configured with.

A channel is held as the node says on which a message is published, so a node
with other options cuts channels for all nodes.  Each node leaves what it is
configured with in Redis, and looks for what others have left there.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from twisted.logger import Logger

# How long a value is, at most; of a longer one its digest is compared.
LONGEST: Final = 1000

# How many characters of another node's text are read.
MOST_READ: Final = 65536

# How many characters of a value are logged.
_SHOWN: Final = 200


class OtherSettings(NamedTuple):
    """
    What other nodes have left in Redis.

    @ivar digest: A digest of C{text}.

    @ivar node: Which node it was.

    @ivar text: What it is configured with, as JSON.
    """

    digest: str
    node: str
    text: str


class NodeSettings:
    """
    What this node is configured with, and the others that it has warned of.

    @ivar node: The host and the process of this node.

    @ivar text: The settings, as JSON.

    @ivar digest: A digest of C{text}.
    """

    _log = Logger()

    def __init__(
        self, settings: Mapping[str, str], url: str, past: frozenset[str] = frozenset()
    ) -> None:
        """
        @param settings: The values of options, by name, that all nodes should
            have in common.

        @param url: Where Redis is, for the log.

        @param past: The digests of what this node was configured with before, of
            which it does not warn.
        """
        self._settings = {name: _short(value) for name, value in settings.items()}
        self._url = url
        self._past = past
        self._warned: frozenset[str] = frozenset()
        self.node = f"{socket.gethostname()[:64]}, process {os.getpid()}"
        self.text = json.dumps(self._settings, sort_keys=True)
        self.digest = _digest(self.text)[:32]

    def changed(self, settings: Mapping[str, str]) -> NodeSettings:
        """
        Return what this node is configured with from now on.  What it has left in
        Redis before stays there for a while; a node that still has it warns of this
        one.
        """
        return NodeSettings(settings, self._url, self._past | {self.digest})

    def compare(self, others: Iterable[OtherSettings]) -> None:
        """
        Log a warning for each configuration that differs from this node's, once
        for as long as it is there.
        """
        present = set()
        for each in others:
            present.add(each.digest)
            differences = self._differences(each.text)
            if differences and each.digest not in self._warned | self._past:
                self._log.warn(
                    "another node that uses Redis at {url} is configured differently, so channels "
                    "are not held as this node says: {differences}; the node is {node}",
                    url=self._url,
                    differences="; ".join(differences),
                    node=_shown(each.node),
                )
        self._warned = frozenset(present)

    def _differences(self, text: str) -> list[str]:
        """
        Say which values differ.  Options that one of the nodes does not know
        are not compared.
        """
        theirs = _read(text)
        return [
            f"{name} is {_shown(theirs[name])} there and {_shown(own)} here"
            for name, own in self._settings.items()
            if name in theirs and theirs[name] != own
        ]


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"sha256:{_digest(value)}"


def _read(text: str) -> dict[str, Any]:
    """
    Read what another node has left, or a foreign writer.
    """
    try:
        found = json.loads(text) if len(text) <= MOST_READ else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _shown(value: object) -> str:
    text = str(value)[:_SHOWN]
    return text if text.isprintable() else repr(text)
