"""
The common part of the peers that run on node.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.building import installNode
from benchmarks.scripts import Publishing, Reading, post
from benchmarks.servers import BENCHMARKS, Peer, Place

_FOLDER: Final = BENCHMARKS / "peers"


def _prepare(package: str) -> Callable[[], str]:
    def prepare() -> str:
        modules = installNode(_FOLDER / "package.json") / "node_modules"
        told = json.loads((modules / package / "package.json").read_text())
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
        return f"{told['version']} (node {node.stdout.strip().lstrip('v')})"

    return prepare


def _command(name: str) -> Callable[[Place], Sequence[str]]:
    def command(place: Place) -> Sequence[str]:
        modules = installNode(_FOLDER / "package.json") / "node_modules"
        script: Path = _FOLDER / name / "server.js"
        compress = place.options.get("compress-above", "")
        variables = [f"NODE_PATH={modules}", f"COMPRESS={compress}"]
        return ["env", *variables, "node", os.fspath(script), str(place.port)]

    return command


def nodePeer(
    name: str, package: str, readings: Mapping[str, Reading], hasPatterns: bool = False
) -> Peer:
    """
    Make a peer whose C{server.js} is in a folder of its name, and which takes
    messages by C{POST /pub/NAME}.

    @param package: Its name at npm.
    """
    publishing = Publishing(post("/pub/%C", "%M"))
    return Peer(
        name,
        readings,
        {"http": publishing},
        _prepare(package),
        _command(name),
        hasPatterns=hasPatterns,
    )
