"""
Follow the README and the tutorial to the letter in a bare Debian 12: install what
the text names, and nothing else, and type its commands one after the other as an
ordinary user.  What they print is compared with what the text shows.  As root,
from the top of the checkout::

    python -m tests.packaging.bare [FOLDER]

C{FOLDER} is kept, and its system used again the next time; without it a temporary
one is made.  It needs C{debootstrap}, C{unshare} and C{ip}, 2 GB, and access to the
packages of Debian and PyPI.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import frozen

from tests.docs.shell import EPOCH, Block, Command, blocksOf, commandsOf, matches

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = ROOT / "README.md"
TUTORIAL: Final = ROOT / "docs" / "tutorial"

# What pip and apt need to know of this machine.
_SETTINGS: Final = (
    *("etc/resolv.conf", "etc/hosts", "etc/pip.conf"),
    "etc/ssl/certs/ca-certificates.crt",
)

# A user's shell in a root.
_SHELL: Final = ("--mount-proc", "su", "-", "reader", "-c", "exec bash")

# Before a command: a shell that runs this in the background lets it ignore Ctrl-C.
_SIGNALS: Final = ("env", "--default-signal")

# Before a command: with no network but a loopback of its own, whose ports are free.
_ALONE: Final = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "-")

# In seconds: how long a command may take, and how long one runs that never ends.
_PATIENCE: Final = 900.0
_MOMENT: Final = 2

_MARK: Final = "--- done ---"

_STOP: Final = """
[ -z "$server" ] || { kill -INT -- -$server; wait $server; }
while curl -so /dev/null 127.0.0.1:8080/; do sleep 0.1; done
"""

_SERVE: Final = """
%s > ~/log 2>&1 & server=$!
for i in $(seq 300); do curl -so /dev/null 127.0.0.1:8080/ && break; sleep 0.1; done
kill -0 $server && echo serves; cat ~/log
"""


@frozen
class Text:
    """
    What a reader of one text does.

    @ivar name: The name of the text.

    @ivar packages: The packages of Debian that it says to install.

    @ivar preparations: The commands that need the network.

    @ivar blocks: The commands that follow.
    """

    name: str
    packages: str
    preparations: Sequence[str]
    blocks: Sequence[Block]


def found(pattern: str, text: str) -> re.Match[str]:
    """
    Find what a text has to say.
    """
    match = re.search(pattern, text, re.DOTALL)
    if match is None:
        raise SystemExit(f"nothing like {pattern!r} in the text: does it say it otherwise now?")
    return match


def server(command: str) -> Block:
    """
    Make the block of a server that a text starts within a sentence.
    """
    return Block("serves", (Command(command, ""),))


def readme() -> Iterator[Text]:
    """
    Read the README, which shows two ways to install.
    """
    text = README.read_text("utf-8")
    packages = found(r"`sudo apt install ([^`]*)`", text)[1]
    start = found(r"Then, in this folder,\n\n    (make [^\n]*)\n", text)[1]
    blocks = [
        Block("serves" if command.text.startswith(".venv/") else "", (command,))
        for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for command in commandsOf(block.splitlines())
    ]
    # The first part of what "make run" does, without which it cannot be alone.
    yield Text("README", packages, ("make .venv/run.stamp",), (server(start), *blocks))
    byHand = found(r"\(Without `make`:\s`([^`]*)`, `([^`]*)`, and\s`([^`]*)`", text)
    packages = packages.replace("make", "")
    preparations = (byHand[1], byHand[2])
    yield Text("README, without make", packages, preparations, (server(byHand[3]), *blocks))


def tutorial() -> Text:
    """
    Read the tutorial.
    """
    text = (TUTORIAL / "index.rst").read_text("utf-8")
    packages = found(r"``sudo apt install ([^`]*)``", text)[1]
    (preparing,) = blocksOf(TUTORIAL / "index.rst")
    pages = found(r":maxdepth: 1\n\n((?:   [^\n]*\n)+)", text)[1].split()
    blocks = [block for page in pages for block in blocksOf(TUTORIAL / f"{page}.rst")]
    shown = server(found(r"run ``(twistd [^`]*)``", text)[1])
    typed = [command.text for command in preparing.commands]
    return Text("tutorial", packages, typed, (shown, *blocks))


class Terminal:
    """
    A shell of a user in a root, into which commands are typed.
    """

    def __init__(self, root: Path, isAlone: bool) -> None:
        """
        @param isAlone: Whether it has no network but a loopback of its own.
        """
        inside = ("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={root}")
        words = [*_SIGNALS, *(_ALONE if isAlone else ()), *inside, *_SHELL]
        self._shell = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.type("set -m; cd ~/comet; server=")

    def type(self, command: str, seconds: float = _PATIENCE) -> str:
        """
        Type a command, and wait until it ends.

        @return: The output.
        """
        stdin, stdout = self._shell.stdin, self._shell.stdout
        assert stdin is not None and stdout is not None
        stdin.write(f"{{ {command}\n}} < /dev/null 2>&1; echo '{_MARK}'\n".encode())
        stdin.flush()
        said, deadline = b"", time.monotonic() + seconds
        while not said.endswith(f"{_MARK}\n".encode()):
            isReady, _, _ = select.select([stdout], [], [], deadline - time.monotonic())
            data = os.read(stdout.fileno(), 65536) if isReady else b""
            if not data:
                raise SystemExit(f"$ {command}\n{said.decode()}\n-- does not end")
            said += data
        return said.decode("utf-8", "replace").removesuffix(f"{_MARK}\n")

    def close(self) -> None:
        """
        End the shell, and all that it has started.
        """
        self._shell.kill()
        self._shell.communicate()


class Reader:
    """
    Follows a text.

    @ivar failures: What was not as the text says.

    @ivar followed: How many commands were typed.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.failures: list[str] = []
        self.followed = 0
        self._terminal = terminal
        self._epoch = EPOCH

    def follow(self, block: Block) -> None:
        """
        Type the commands of a block.
        """
        for command in block.commands:
            self.followed += 1
            if block.kind == "serves":
                self._serve(command)
            else:
                self._run(command)

    def _serve(self, command: Command) -> None:
        """
        Start a server, and stop the one before.
        """
        self._epoch = EPOCH
        self._terminal.type(_STOP)
        said = self._terminal.type(_SERVE % command.text)
        lines = said.splitlines()
        wanted = ["serves", *filter(None, command.expected.splitlines())]
        if not all(any(matches(each, line) for line in lines) for each in wanted):
            self._fail(command, said)

    def _run(self, command: Command) -> None:
        typed = command.text.replace(EPOCH, self._epoch)
        # On a terminal, curl does not tell its progress.
        typed = re.sub(r"\bcurl ", "curl -sS ", typed)
        isEndless = "curl -N" in command.text
        if isEndless:
            typed = f"timeout {_MOMENT} bash -c {shlex.quote(typed)}"
        said = self._terminal.type(typed)
        epoch = re.search(r"\b([a-z0-9]{6})-\d", said)
        if epoch is not None and EPOCH in command.expected:
            self._epoch = epoch[1]
        # Some streams are not shown.
        isRight = matches(command.expected, said)
        if isEndless and not command.expected.strip():
            isRight = '"data":' in said
        if not isRight:
            self._fail(command, said)

    def _fail(self, command: Command, said: str) -> None:
        self.failures.append(
            f"$ {command.text}\n-- expected\n{command.expected}\n-- printed\n{said}"
        )


def asRoot(root: Path, command: str) -> None:
    """
    Run a command as root in a root.
    """
    inside = ["unshare", "--mount", "--pid", "--fork", f"--root={root}", "--mount-proc"]
    done = subprocess.run(
        [*inside, "sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_PATIENCE,
    )
    if done.returncode:
        raise SystemExit(f"$ {command}\n{done.stdout.decode('utf-8', 'replace')}")


def makeSystem(root: Path) -> None:
    """
    Make a bare Debian 12 with a user.
    """
    said = subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(root)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if said.returncode:
        raise SystemExit(said.stdout.decode("utf-8", "replace"))
    for name in _SETTINGS:
        if Path("/", name).exists():
            shutil.copy(Path("/", name), root / name)
    asRoot(root, "apt-get update && useradd -m -s /bin/bash reader")


def check(text: Text, system: Path, root: Path) -> bool:
    """
    Follow a text in a copy of the system, which is deleted then.

    @return: Whether all was as the text says.
    """
    subprocess.run(["cp", "-a", "--reflink=auto", system, root], check=True)
    try:
        asRoot(root, f"DEBIAN_FRONTEND=noninteractive apt install -y {text.packages}")
        home = root / "home" / "reader"
        (home / "comet").mkdir()
        git = ["git", "archive", "HEAD"]
        archive = subprocess.run(git, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", home / "comet"], input=archive.stdout, check=True)
        asRoot(root, "chown -R reader: /home/reader")
        return follow(text, root)
    finally:
        shutil.rmtree(root)


def follow(text: Text, root: Path) -> bool:
    """
    Type all commands of a text.

    @return: Whether all was as the text says.
    """
    terminal = Terminal(root, isAlone=False)
    for command in text.preparations:
        said = terminal.type(f"{command}\necho $?")
        if said.split()[-1] != "0":
            print(f"$ {command}\n-- fails\n{said}")
            return False
    terminal.close()
    terminal = Terminal(root, isAlone=True)
    for command in text.preparations:
        if command.startswith((". ", "cd ")):
            terminal.type(command)
    reader = Reader(terminal)
    for block in text.blocks:
        reader.follow(block)
    terminal.close()
    print("\n\n".join(reader.failures))
    print(f"{text.name}: {reader.followed} commands, {len(reader.failures)} not as it says")
    return not reader.failures


def main(folder: Path) -> int:
    """
    Follow all texts.

    @return: The exit code: 0 if all is as they say.
    """
    if os.geteuid():
        raise SystemExit("only root can make a system and change into it: sudo make bare")
    system = folder / "system"
    if not system.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print("making a bare Debian 12", flush=True)
        making = folder / "making"
        shutil.rmtree(making, ignore_errors=True)
        makeSystem(making)
        making.rename(system)
    results = [check(text, system, folder / "root") for text in (*readme(), tutorial())]
    return int(not all(results))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    with TemporaryDirectory() as temporary:
        sys.exit(main(Path(temporary)))
