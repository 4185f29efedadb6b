"""
Building the programs in C, and installing packages of npm.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.servers import BENCHMARKS, BUILD, Broken, Missing

FLAGS: Final = ("-std=gnu11", "-O2", "-pthread", "-Wall", "-Wextra", "-Wconversion")
# What the load generator needs to speak TLS.
TLS: Final = ("-DWITH_TLS", "-lssl", "-lcrypto")

_PATIENCE: Final = 600


def _isOlder(made: Path, sources: Sequence[Path]) -> bool:
    return not made.exists() or any(
        source.stat().st_mtime > made.stat().st_mtime for source in sources
    )


def _run(command: Sequence[str], folder: Path) -> None:
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    if result.returncode:
        raise Broken(f"{command[0]} failed: {(result.stderr or result.stdout)[-1000:]}")


def _compile(name: str, sources: Sequence[Path], needed: Sequence[Path], *options: str) -> Path:
    program = BUILD / name
    if not _isOlder(program, [*sources, *needed]):
        return program
    if shutil.which("cc") is None:
        raise Missing("apt install gcc libc6-dev")
    BUILD.mkdir(exist_ok=True)
    # Another run of the benchmarks may be using the old program.
    fresh = BUILD / f"{name}.new"
    _run(["cc", *FLAGS, "-o", str(fresh), *map(str, sources), *options], BENCHMARKS)
    fresh.replace(program)
    return program


def buildLoad(isEncrypted: bool = False) -> Path:
    """
    Build the load generator, if it is older than its sources.

    @param isEncrypted: Whether it must be able to speak TLS.

    @raise Missing: If there is no compiler, or what it needs for TLS is not there.

    @raise Broken: If it cannot be compiled.
    """
    folder = BENCHMARKS / "load"
    sources, headers = sorted(folder.glob("*.c")), sorted(folder.glob("*.h"))
    if not isEncrypted:
        return _compile("load", sources, headers)
    try:
        return _compile("load-tls", sources, headers, *TLS)
    except Broken as error:
        if "openssl/" in str(error) or "-lssl" in str(error):
            raise Missing("apt install libssl-dev") from None
        raise


def buildFloor() -> Path:
    """
    Build the server that does the least, if it is older than its source.

    @raise Missing: If there is no compiler.

    @raise Broken: If it cannot be compiled.
    """
    return _compile("floor", [BENCHMARKS / "floor.c"], [])


def installNode(package: Path) -> Path:
    """
    Install the packages of a C{package.json}, if it has changed.

    @param package: The C{package.json}.

    @return: The folder that holds C{node_modules}.

    @raise Missing: If there is no node or no npm.

    @raise Broken: If npm fails.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Missing(f"apt install {'nodejs' if program == 'node' else program}")
    folder = BUILD / "node"
    installed = folder / "node_modules" / ".package-lock.json"
    if _isOlder(installed, [package]):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(package, folder / "package.json")
        _run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], folder)
        installed.touch()
    return folder
