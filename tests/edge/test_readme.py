"""
Tests of C{README.md}: its commands, its tables, and its examples.
"""

from __future__ import annotations

import importlib.util
import os
import re
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import LoopingCall
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from comet.bus.memory.bus import MemoryBus
from comet.command.program import program
from comet.errors import Unavailable
from comet.hub.hub import Hub
from comet.server.commandline import Options
from comet.settings.options import OPTIONS, Option
from tests.edge.case import EdgeTestCase
from tests.edge.connections import PATIENCE
from tests.edge.costs import SIZE, measure
from tests.edge.server import ROOT, CometProcess
from tests.edge.speakers import CLIENTS
from tests.ports import freePorts

TEXT = (ROOT / "README.md").read_text("utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "embedded.py"

# The epoch of all cursors in the text.
EPOCH = "k3f9a2"


def load(path: Path) -> Any:
    """
    Import an example.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(language: str) -> list[str]:
    """
    Return the blocks of code in a language.
    """
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    """
    Yield the commands in their order, each with the output that the text shows.
    """
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def rows(first: str) -> list[list[str]]:
    """
    Return the cells of a table without its head.

    @param first: The beginning of the head.
    """
    table = TEXT[TEXT.index(first) :].partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]


def shownDefault(option: Option) -> str:
    """
    Write a default as the table does.
    """
    value = option.default
    if isinstance(value, tuple):
        value = ", ".join(value) or None
    if option.isFlag:
        return "on" if value else "off"
    if value is None:
        return "none"
    return f"`{value:.12g}`" if isinstance(value, float) else f"`{value}`"


def output(command: str, directory: Path, wanted: str) -> str:
    """
    Run a command, and return its output: all of it, or as much as is wanted if
    the command does not end.
    """
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    deadline = time.monotonic() + PATIENCE
    said = b""
    try:
        while len(said) < len(wanted) and time.monotonic() < deadline:
            if select.select([process.stdout], [], [], 0.1)[0]:
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    break
                said += data
    finally:
        os.killpg(process.pid, 9)
        process.communicate()
    return said.decode()


class CommandTests(EdgeTestCase):
    """
    The commands.
    """

    def test_commands(self) -> None:
        """
        The commands, run one after the other with a fresh server, print what the
        text shows.  A command that starts a server starts another one.
        """
        server = self.startServer("--demo")
        epoch = ""
        count = 0
        for command, wanted in commands():
            if "twistd " in command:
                server, epoch = self.startServer("--demo"), ""
            if "curl " not in command or "/push/" in command:
                continue
            typed = command.replace(":8080", f":{server.port}").replace(EPOCH, epoch or EPOCH)
            typed = typed.replace(":8081", f":{server.tcpPort}")
            said = output(typed, server.directory, wanted.rstrip("\n"))
            epoch = epoch or said.partition('"cursor":"')[2].partition("-")[0]
            self.assertTrue(epoch, f"{command}: {said}")
            self.assertEqual(said.replace(epoch, EPOCH).strip(), wanted.strip(), command)
            count += 1
        self.assertGreater(count, 8)

    def test_starting(self) -> None:
        """
        The commands that start servers are accepted, with all their options.
        """
        servers = [command for command, _ in commands() if "curl " not in command]
        self.assertEqual(len(servers), 2)
        twistd, *words = servers[0].split()
        self.assertEqual((twistd, words[:2]), (".venv/bin/twistd", ["-n", "comet"]))
        Options().parseOptions(words[2:])
        python, script = servers[1].split()
        self.assertEqual((python, ROOT / script), (".venv/bin/python", EXAMPLE))

    def test_operating(self) -> None:
        """
        The commands of C{comet} are accepted, with all their options, and all are there.
        """
        lines = [line for block in blocks("sh") for line in block.splitlines()]
        found = set()
        for line in lines:
            name, first, *words = shlex.split(line, comments=True)
            if name == "(umask":
                # The file that the next command takes its key from.
                self.assertTrue(line.endswith(" > token.secret)"), line)
                continue
            self.assertEqual(name, ".venv/bin/comet")
            program.commands[first].make_context(first, words)
            found.add(first)
        self.assertEqual(found, program.commands.keys() - {"completion"})

    def test_browser(self) -> None:
        """
        The WebSocket of the example delivers the published message.
        """
        (script,) = blocks("js")
        url = re.search(
            r'new WebSocket\("ws://127.0.0.1:8080/channels/([^"?]*)\?since=(\w+)"', script
        )
        assert url is not None
        server = self.startServer("--demo")
        output(
            f"curl -sd hello http://127.0.0.1:{server.port}/channels/{url[1]}",
            server.directory,
            "}}",
        )
        client = CLIENTS["websocket"](server.site)
        self.addCleanup(client.close)
        client.open([url[1]], url[2])
        (message,) = client.messages(1)
        self.assertEqual(message.data, "hello")

    def test_file(self) -> None:
        """
        The example of a configuration file can be read.
        """
        (content,) = blocks("toml")
        path = Path(self.mktemp())
        path.write_text(content)
        options = Options()
        options.parseOptions(["--config", str(path)])
        self.assertEqual(options.configuration.retention("chat/a").messages, 50)
        self.assertEqual(options.configuration["heartbeat"], 15.0)


class EmbeddedTests(EdgeTestCase):
    """
    The application that embeds comet.
    """

    def test_showsTheFile(self) -> None:
        """
        The text shows exactly the file of the example.
        """
        self.assertEqual(blocks("python"), [EXAMPLE.read_text("utf-8")])

    def test_imported(self) -> None:
        """
        The application publishes its ticks below C{/push/}, on any reactor.
        """
        module = load(EXAMPLE)
        reactor = MemoryReactorClock()
        running = module.main(reactor)
        ((_, site, *_),) = reactor.tcpServers
        protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(
            b"GET /push/channels/clock?transport=poll&since=earliest HTTP/1.1\r\n"
            b"Host: localhost\r\n\r\n"
        )
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertIn(b'"channel":"clock"', transport.value())
        self.assertNoResult(running)

    def test_goesOnAfterFailure(self) -> None:
        """
        A publication that fails ends no loop of the examples.
        """
        reactor = MemoryReactorClock()

        class Failing(Hub):
            """
            A hub whose first publication fails.
            """

            published = 0

            def publish(self, *args: object, **kwargs: object) -> Deferred[Any]:
                """
                Fail once.
                """
                Failing.published += 1
                first = Failing.published == 1
                return fail(Unavailable("the bus is down")) if first else succeed(None)

        for name in ("embedded.py", "embed.py"):
            Failing.published = 0
            module = load(EXAMPLE.with_name(name))
            hub = Failing(MemoryBus(reactor), reactor)
            loop = LoopingCall(module.publishTime, hub)
            loop.clock = reactor
            running = loop.start(1.0)
            reactor.advance(1.0)
            self.assertEqual((Failing.published, loop.running), (2, True))
            self.assertEqual(len(self.flushLoggedErrors(Unavailable)), 1)
            loop.stop()
            self.successResultOf(running)
            source = EXAMPLE.with_name(name).read_text("utf-8")
            self.assertIn("LoopingCall(publishTime, hub)", source)

    def test_run(self) -> None:
        """
        The application, run on its own, delivers what the text shows.
        """
        (port,) = freePorts(1)
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), str(port)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def end() -> None:
            process.kill()
            process.wait()

        self.addCleanup(end)
        (command,) = [command for command, _ in commands() if "/push/" in command]
        typed = command.replace("curl ", "curl -s --retry 50 --retry-connrefused --retry-delay 1 ")
        said = output(typed.replace(":8080", f":{port}"), ROOT, "x" * 100)
        self.assertIn('"channel":"clock"', said)


class TableTests(EdgeTestCase):
    """
    The tables.
    """

    def test_costs(self) -> None:
        """
        The costs in the table of techniques are those that are measured.
        """
        server: CometProcess = self.startServer("--demo")
        costs = measure(server.site)
        told = rows("| | how the client")
        self.assertEqual([row[0] for row in told], list(costs))
        for name, _, requests, each, once, _ in told:
            cost = costs[name]
            self.assertEqual(requests, str(cost.requests), name)
            self.assertEqual(each, f"{cost.up} + {cost.down}", name)
            self.assertEqual(once.split()[:3], [str(cost.once[0]), "+", str(cost.once[1])], name)
        self.assertIn(f"a string of {SIZE} bytes", TEXT)

    def test_options(self) -> None:
        """
        The table of options has all of them, in their order, with their
        defaults.
        """
        told = [(cells[0], cells[1]) for cells in rows("| option | default")]
        stated = [(f"`--{option.name}", shownDefault(option)) for option in OPTIONS]
        self.assertEqual([(name.split()[0].rstrip("`"), rest) for name, rest in told], stated)
