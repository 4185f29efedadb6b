"""
Follow the README to the letter in a bare Debian 12: make a root directory with
C{debootstrap}, install what the README names, and nothing else, and run its
commands one after the other as an ordinary user.  As root, from the top of the
checkout::

    python -m tests.packaging.bare [ROOT]

C{ROOT} is made if it does not exist, and kept; without it a temporary one is made.
It needs C{debootstrap}, C{unshare} and C{ip}, and access to Debian's and PyPI's
packages.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TEXT: Final = (ROOT / "README.md").read_text("utf-8")

# The epoch of all cursors in the text, and what separates outputs.
EPOCH: Final = "k3f9a2"
MARK: Final = "=== "

# What pip and apt need to know of this machine.
_SETTINGS: Final = ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/ssl/certs")

# Starts a server in the background, and waits until it serves.
_SERVE: Final = """
[ -z "$server" ] || { kill -INT -- -$server; wait $server; }
: > ~/log; %s > ~/log 2>&1 & server=$!
for i in $(seq 200); do curl -so /dev/null 127.0.0.1:8080/ && break; sleep 0.2; done
epoch=
"""

# Runs a command, whose stream never ends, and learns the server's epoch.
_RUN: Final = """
echo '%s%s'
timeout 2 bash -c %s > ~/said; cat ~/said; echo
[ -n "$epoch" ] || epoch=$(grep -o '"cursor":"[a-z0-9]*' ~/said | head -1 | cut -d'"' -f4)
"""


def commands() -> Iterator[tuple[str, str]]:
    """
    Yield the commands of the README in their order, each with its output.
    """
    for block in re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def makeRoot(root: Path) -> None:
    """
    Make a bare Debian 12 with a user, and the packages that the README names.
    """
    packages = re.search(r"`sudo apt install ([^`]*)`", TEXT)
    assert packages is not None, "the README names the packages of Debian"
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(root)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for name in _SETTINGS:
        if Path("/", name).is_dir():
            shutil.copytree(Path("/", name), root / name, dirs_exist_ok=True)
        elif Path("/", name).exists():
            shutil.copy(Path("/", name), root / name)
    within(root, "apt-get update -qq")
    within(root, f"apt-get install -qq --no-install-recommends {packages[1]}")
    within(root, "useradd -m -s /bin/bash reader")


def within(root: Path, command: str, *isolation: str) -> str:
    """
    Run a command in the root.

    @return: The output.
    """
    inside = ["unshare", "--mount", "--pid", "--fork", f"--root={root}", "--mount-proc"]
    words = [*isolation, *inside, "sh", "-c", command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, timeout=600).stdout


def script() -> str:
    """
    Return the program that follows the README.
    """
    parts = ["set -m; cd ~/comet; server=; epoch=\n", _SERVE % "make run"]
    for number, (command, _) in enumerate(commands()):
        if command.startswith("curl") or "| curl" in command:
            typed = shlex.quote(command).replace(EPOCH, "'$epoch'")
            parts.append(_RUN % (MARK, number, typed.replace("curl ", "curl -s ")))
        else:
            parts.append(_SERVE % command)
    return "".join([*parts, "kill -INT -- -$server; wait $server\n"])


def main(root: Path) -> int:
    """
    Follow the README.

    @return: The exit code: 0 if all commands print what it shows.
    """
    if not root.exists():
        makeRoot(root)
    home = root / "home" / "reader"
    shutil.rmtree(home / "comet", ignore_errors=True)
    (home / "comet").mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", home / "comet"], input=archive.stdout, check=True)
    (home / "follow").write_text(script())
    within(root, "chown -R reader: /home/reader")
    # The network is needed only to install; then the ports are the root's own.
    within(root, "su - reader -c 'cd comet && make .venv/run.stamp'")
    alone = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "-")
    said = within(root, "su - reader -c 'bash follow 2>/dev/null'", *alone)
    outputs: dict[int, str] = {}
    for part in said.split(MARK)[1:]:
        number, _, printed = part.partition("\n")
        outputs[int(number)] = re.sub(r"\b[a-z0-9]{6}-(?=\d)", f"{EPOCH}-", printed).strip()
    failed = 0
    for at, (command, wanted) in enumerate(commands()):
        if at in outputs and wanted.strip() not in outputs[at]:
            failed += 1
            print(f"$ {command}\n-- expected\n{wanted}\n-- printed\n{outputs[at]}\n")
    print(f"{len(outputs)} commands of the README were followed, {failed} print something else")
    return int(failed > 0 or len(outputs) == 0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    with TemporaryDirectory() as folder:
        sys.exit(main(Path(folder, "root")))
