"""
Servers that are started where a killed server has left its files, and servers that
get a signal which must not end them.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

from tests.edge.connections import Site, ask
from tests.edge.server import ROOT, STARTING, activated, twistd
from tests.edge.test_starting import StartingTestCase

HEALTH = b"GET /health HTTP/1.0\r\n\r\n"


def askFile(path: Path) -> bytes:
    """
    Ask for the health of the server at a UNIX socket, and return the response.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(STARTING)
        # A path from here: those of UNIX sockets are limited.
        client.connect(os.path.relpath(path))
        client.sendall(HEALTH)
        heard = b""
        while data := client.recv(4096):
            heard += data
        return heard


class PIDFileTests(StartingTestCase):
    """
    The pid file of C{twistd}.
    """

    def test_numberInFileStopsNoStart(self) -> None:
        """
        A pid file that a killed server has left does not stop a start, although
        its number is that of a running process, or is no number.
        """
        for left in (str(os.getpid()), "1", ""):
            (self.folder / "twistd.pid").write_text(left)
            process = self.start(*self.listen)
            self.readUntil(process, "listen: ")
            self.assertEqual((self.folder / "twistd.pid").read_text(), str(process.pid))
            self.stop(process)
            self.assertFalse((self.folder / "twistd.pid").exists())

    def test_fileOfRunningServerStopsStart(self) -> None:
        """
        The pid file of a server that runs keeps a second one from starting.  Once
        the first is killed it does not.
        """
        first = self.start(*self.listen)
        self.readUntil(first, "listen: ")
        status, said = self.run_("--listen", "tcp:0:interface=127.0.0.1")
        self.assertEqual(status, 1, said)
        self.assertIn("Another twistd server is running", said)
        first.kill()
        first.wait()
        (self.folder / "twistd.pid").write_text(str(os.getpid()))
        second = self.start(*self.listen)
        self.readUntil(second, "listen: ")
        self.stop(second)


class UNIXSocketTests(StartingTestCase):
    """
    UNIX sockets.
    """

    def test_startsAfterKill(self) -> None:
        """
        A server starts where a killed one has left its socket, and a lock of
        Twisted's that names a running process.
        """
        (self.folder / "http.lock").symlink_to(str(os.getpid()))
        for _ in range(2):
            process = self.start("--listen", "unix:http:mode=660")
            self.readUntil(process, "the key")
            self.assertEqual(stat.S_IMODE((self.folder / "http").stat().st_mode), 0o660)
            self.assertIn(b'{"ready":true}', askFile(self.folder / "http"))
            process.kill()
            process.wait()
            (self.folder / "twistd.pid").unlink()
            self.assertTrue((self.folder / "http").is_socket())
        process = self.start("--listen", "unix:http")
        self.readUntil(process, "the key")
        self.stop(process)
        self.assertEqual(list(self.folder.glob("http*")), [])

    def test_twoServersDoNotShareOne(self) -> None:
        """
        A second server does not take the socket of a running one, be that comet
        or another program.
        """
        process = self.start("--listen", "unix:http")
        self.readUntil(process, "the key")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(os.path.relpath(self.folder / "other"))
            other.listen()
            for name in ("http", "other"):
                status, said = self.run_("--listen", f"unix:{name}", before=("-n", "--pidfile="))
                self.assertEqual(status, 1, said)
                self.assertIn(f"cannot listen on unix:{name}: Address already in use", said)
                self.assertTrue((self.folder / name).is_socket())
        self.assertIn(b'{"ready":true}', askFile(self.folder / "http"))
        self.stop(process)


class SystemdTests(StartingTestCase):
    """
    A socket that systemd has bound.
    """

    def activate(self, bound: socket.socket, *words: str, name: str) -> subprocess.Popen[str]:
        """
        Start the command with a socket.
        """
        command = [*twistd(), "-n", "--pidfile=", "comet", *words]
        process = subprocess.Popen(
            activated(bound.fileno(), command, name),
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            pass_fds=[bound.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def test_fileIsSystemds(self) -> None:
        """
        The mode of a UNIX socket stays as systemd has made it, its file is there
        after the server has ended, and another server can serve on it.
        """
        path = self.folder / "http"
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.path.relpath(path))
            path.chmod(0o660)
            bound.listen()
            for words in (("index=0", ""), ("index=0", "web"), ("name=web", "web")):
                process = self.activate(
                    bound, "--listen", f"systemd:domain=UNIX:{words[0]}", name=words[1]
                )
                self.readUntil(process, "the key")
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
                self.assertIn(b'{"ready":true}', askFile(path))
                self.stop(process)
                self.assertTrue(path.is_socket())
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)

    def test_namesAreOptional(self) -> None:
        """
        A TCP socket is found by its index, whether systemd names it or not.
        """
        with socket.create_server(("127.0.0.1", 0)) as bound:
            for name in ("", "http"):
                process = self.activate(bound, "--listen", "systemd:domain=INET:index=0", name=name)
                self.readUntil(process, "listen: ")
                site = Site(bound.getsockname()[1], 0)
                self.assertEqual(ask(site, "GET", "/health").status, 200)
                self.stop(process)

    def test_saysWhatIsMissing(self) -> None:
        """
        An index or name that systemd has not passed is told in one line.
        """
        with socket.create_server(("127.0.0.1", 0)) as bound:
            for option in ("index=1", "name=other", "index=0:name=http", "place=0"):
                process = self.activate(
                    bound, "--listen", f"systemd:domain=INET:{option}", name="http"
                )
                said, _ = process.communicate(timeout=STARTING)
                self.assertIn(f"'systemd:domain=INET:{option}' is not allowed for listen", said)
                self.assertNotIn("Traceback", said)


class HangupTests(StartingTestCase):
    """
    SIGHUP.
    """

    def test_goesOn(self) -> None:
        """
        At SIGHUP the configuration is read again, and the server goes on.
        """
        process = self.start(*self.listen)
        said = self.readUntil(process, "listen: ")
        self.assertNotIn("SIGHUP", said)
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            self.readUntil(process, "the configuration was read again: nothing has changed")
        self.assertEqual(ask(Site(self.port, 0), "GET", "/health").status, 200)
        self.stop(process)
