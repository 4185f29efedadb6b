"""
Every command of the book does what its page says.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.running import DOCS, EXAMPLES, PATIENCE, ExampleTestCase, Running, environment
from tests.docs.shell import EPOCH, Block, Command, blocksOf, matches, serverOf
from tests.edge.connections import ask
from tests.edge.server import twistd
from tests.ports import freePorts

PAGES = sorted(
    page
    for page in DOCS.rglob("*.rst")
    if "_build" not in page.parts and "newsfragments" not in page.parts
)

# How long a command runs on that does not end by itself, once it has printed what is
# expected, in seconds.
MOMENT = 0.3


class PagesTests(ExampleTestCase):
    """
    The commands of each page, one after the other, as a reader would type
    them.  A test for each page is added below.
    """

    running: Running | None = None

    def check(self, page: Path) -> None:
        """
        Run all commands of a page.
        """
        for path in EXAMPLES.iterdir():
            if path.is_file():
                shutil.copy(path, self.directory)
        self.port, self.tcpPort = freePorts(2)
        self.serving = ""
        options = serverOf(page)
        if options is not None:
            self.startServer(" ".join(["twistd -n comet", *options]), "")
        for block in blocksOf(page):
            self.runBlock(page, block)
        if self.running is not None:
            self.running.stop()

    def runBlock(self, page: Path, block: Block) -> None:
        """
        Run the commands of a block.
        """
        for command in block.commands:
            if block.kind == "serves":
                self.startServer(command.text, command.expected)
            elif block.kind != "by-hand":
                printed = self.typed(command)
                self.assertTrue(
                    matches(command.expected, printed),
                    f"{page.name}: $ {command.text}\n-- expected\n{command.expected}\n-- printed\n"
                    f"{printed}",
                )

    def ours(self, text: str) -> str:
        """
        Replace the ports of the book by those of this test.
        """
        return text.replace("8080", str(self.port)).replace("8081", str(self.tcpPort))

    def startServer(self, text: str, expected: str) -> None:
        """
        Run a server instead of the one before.
        """
        if self.running is not None:
            self.running.stop()
        program, *words = shlex.split(self.ours(text))
        endpoint = f"tcp:{self.port}:interface=127.0.0.1"
        if program == "twistd":
            command = [*twistd(), *words]
            if "--listen" not in words:
                command += ["--listen", endpoint]
        else:
            self.assertEqual(program, "python")
            command = [sys.executable, *words, endpoint]
        self.running = Running(command, self.directory, self.port)
        self.addCleanup(self.running.kill)
        for line in filter(None, expected.splitlines()):
            self.awaitLine(self.running, line)

    def awaitLine(self, running: Running, expected: str) -> None:
        """
        Wait until a server has written a line.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in running.log().splitlines():
                if matches(expected, self.theirs(line)):
                    return
            time.sleep(0.05)
        self.fail(f"nothing like {expected!r} in\n{running.log()}")

    def theirs(self, text: str) -> str:
        """
        Replace the ports and the directory of this test by those of the book.
        """
        text = text.replace(str(self.port), "8080").replace(str(self.tcpPort), "8081")
        return text.replace(str(self.directory), "/srv/comet").replace("\r\n", "\n")

    def typed(self, command: Command) -> str:
        """
        Run a command.

        @return: The output.
        """
        text = self.ours(command.text)
        if EPOCH in text:
            text = text.replace(EPOCH, self.epoch())
        isEndless = "curl -N" in text or text.startswith("python tail.py")
        process = subprocess.Popen(
            ["bash", "-c", re.sub(r"\bcurl ", "curl -sS ", text)],
            cwd=self.directory,
            env={**environment(), "HOME": str(self.directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return self.printed(process, command.expected, isEndless)
        finally:
            # Its group, since bash may have started others.  It is not reaped yet, so
            # the group is there.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def printed(self, process: subprocess.Popen[bytes], expected: str, isEndless: bool) -> str:
        """
        Read what a command prints until it ends, or, if it never does, for a
        moment after it has printed what is expected.
        """
        assert process.stdout is not None
        said, until = b"", time.monotonic() + PATIENCE
        isShown = False
        while True:
            text = self.theirs(said.decode("utf-8", "replace"))
            if isEndless and not isShown and matches(expected, text):
                isShown, until = True, time.monotonic() + MOMENT
            left = until - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                return text
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                return text
            said += data

    def epoch(self) -> str:
        """
        Return the epoch of the server.
        """
        assert self.running is not None
        answer = ask(self.running.site, "HEAD", "/channels/any")
        return answer.headers["etag"].strip('"').partition("-")[0]


def _test(page: Path) -> Callable[[PagesTests], None]:
    def test(self: PagesTests) -> None:
        self.check(page)

    test.__doc__ = f"The commands of {page.relative_to(DOCS)}."
    return test


for _page in PAGES:
    if blocksOf(_page):
        _name = "_".join(_page.relative_to(DOCS).with_suffix("").parts)
        setattr(PagesTests, f"test_{_name}", _test(_page))


class BookTests(SynchronousTestCase):
    """
    The pages as a whole: which commands they show, and which of these run.
    """

    def test_fewCommandsAreNotRun(self) -> None:
        """
        Only commands that install or administrate are not run, and these are few.
        """
        blocks = [block for page in PAGES for block in blocksOf(page) if block.kind == "by-hand"]
        for block in blocks:
            for command in block.commands:
                self.assertRegex(
                    command.text,
                    r"^(pip install|python3 -m venv|\. \.venv|cd |sudo |openssl |make )",
                    command,
                )

    def test_saysWordsThatReadersSearchFor(self) -> None:
        """
        The search of the book finds the words that readers know from elsewhere.
        """
        text = " ".join(page.read_text("utf-8") for page in PAGES)
        for word in ("authentication", "TypeScript", "Docker", "metrics", "reconnect", "ulimit"):
            self.assertRegex(text, rf"(?i)\b{word}\b")

    def test_serversOfOneFolderShareNoPIDFile(self) -> None:
        """
        Where several servers are started one below the other, none uses the pid
        file of another.
        """
        for page in PAGES:
            for block in re.findall(r"\n\n((?:   .*\n)+)", page.read_text("utf-8")):
                started = re.findall(r"^ *(?:\$ )?twistd .*", block, re.MULTILINE)
                if len(started) > 1:
                    self.assertTrue(all("--pidfile=" in each for each in started), block)

    def test_codeIsFromFiles(self) -> None:
        """
        Every example is shown on a page, and pages show code from files only.
        Other blocks are shell commands, bytes of a wire, or excerpts.
        """
        texts = [page.read_text("utf-8") for page in PAGES]
        shown = {
            Path(name).name
            for text in texts
            for name in re.findall(r"literalinclude:: (\S+)", text)
        }
        files = {path.name for path in EXAMPLES.rglob("*") if path.is_file()}
        files = {name for name in files if not name.endswith(".pyc")}
        # The README shows one of them; every site of Django has the others.
        django = {"manage.py", "wsgi.py", "__init__.py", "login.html"}
        self.assertEqual(files - shown, {"embedded.py", *django})
        allowed = {"console", "http", "json", "text", "javascript", "html"}
        for page, text in zip(PAGES, texts, strict=True):
            kinds = set(re.findall(r"\.\. code-block:: (\S+)", text))
            self.assertLessEqual(kinds, allowed, page)

    def test_commandsAreInstalled(self) -> None:
        """
        The commands that pages use are installed.
        """
        path = environment()["PATH"]
        for program in ("bash", "curl", "php", "python", "timeout"):
            self.assertIsNotNone(shutil.which(program, path=path), f"{program} is not installed")
        self.assertTrue(os.access(EXAMPLES, os.R_OK))
