"""
Three nodes, the Redis that they share, and a proxy in front of them.  The proxy
runs the book's configuration with the test's ports and without TLS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.edge.connections import Ended, Silence, Site, ask
from tests.edge.server import ROOT, STARTING, CometProcess
from tests.ports import freePorts
from tests.proxies.programs import findProgram
from tests.redisserver import RedisServer

CONFIGURATIONS: Final = ROOT / "docs" / "examples" / "cluster"

NODES: Final = 3

# The publish key, which all nodes of a cluster must share.
KEY: Final = "a-key-that-all-of-them-have"

# The header by which the proxy names the node that has answered.
NODE: Final = "x-node"


def rewritten(name: str, changes: Mapping[str, str]) -> str:
    """
    Return a configuration of the book with replacements.

    @param changes: The new texts by the old ones, which must be there.
    """
    text = (CONFIGURATIONS / name).read_text()
    for old, new in changes.items():
        if old not in text:
            raise AssertionError(f"there is no {old!r} in {name}")
        text = text.replace(old, new)
    return text


class Front:
    """
    A proxy in front of the nodes; each subclass is one program.

    @cvar name: The name of the program.

    @cvar withTcp: Whether raw TCP passes it, too.

    @cvar host: The host for requests; if empty, the address.

    @ivar site: The address of the proxy.
    """

    name = ""
    withTcp = False
    host = ""

    def __init__(self, nodes: Sequence[CometProcess], directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.nodes = nodes
        self.port, self.tcpPort = freePorts(2)
        self.site = Site(self.port, self.tcpPort, KEY, host=self.host)
        self._log = directory / "log"

    def prepare(self) -> Sequence[str]:
        """
        Write the configuration.

        @return: The command that runs it in the foreground.
        """
        raise NotImplementedError

    def start(self) -> None:
        """
        Start the proxy, and wait until all nodes answer through it.
        """
        command = self.prepare()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + STARTING
        answered: set[str] = set()
        while len(answered) < len(self.nodes):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self.name} does not serve {answered}\n{self.log()}")
            try:
                answer = ask(self.site, "GET", "/health")
                if answer.status == 200:
                    answered.add(answer.headers[NODE])
            except (ConnectionError, Ended, Silence):
                time.sleep(0.05)

    def stop(self) -> None:
        """
        Stop the proxy.
        """
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        """
        Return the end of its log.
        """
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""


class HAProxy(Front):
    """
    HAProxy.
    """

    name = "haproxy"
    withTcp = True

    def prepare(self) -> Sequence[str]:
        """
        See L{Front.prepare}.
        """
        certificate = "ssl crt /etc/haproxy/push.example.com.pem"
        changes = {
            # More connections than this process may open.
            "maxconn 20000": "maxconn 500",
            f"bind :443 {certificate} alpn h2,http/1.1": f"bind 127.0.0.1:{self.port}",
            f"bind :8443 {certificate}": f"bind 127.0.0.1:{self.tcpPort}",
            "inter 2s": "inter 200ms",
            "balance roundrobin\n    option ab": (
                f"balance roundrobin\n    http-response set-header {NODE} %s\n    option ab"
            ),
        }
        for number, node in enumerate(self.nodes, 1):
            changes[f"10.0.0.{number}:8080"] = f"127.0.0.1:{node.port}"
            changes[f"10.0.0.{number}:8081"] = f"127.0.0.1:{node.tcpPort}"
        path = self.directory / "haproxy.cfg"
        path.write_text(rewritten("haproxy.cfg", changes))
        return [findProgram(self.name), "-db", "-f", str(path)]


class Nginx(Front):
    """
    nginx, with the book's file inside the main configuration of Debian.
    """

    name = "nginx"
    host = "localhost"

    def prepare(self) -> Sequence[str]:
        """
        See L{Front.prepare}.
        """
        changes = {
            "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port};",
            "    ssl_certificate     /etc/ssl/push.example.com/fullchain.pem;\n": "",
            "    ssl_certificate_key /etc/ssl/push.example.com/privkey.pem;\n": (
                f"    add_header {NODE} $upstream_addr;\n"
            ),
            "server_name push.example.com;": "server_name localhost;",
        }
        for number, node in enumerate(self.nodes, 1):
            changes[f"10.0.0.{number}:8080"] = f"127.0.0.1:{node.port}"
        included = self.directory / "comet.conf"
        included.write_text(rewritten("nginx.conf", changes))
        # Started by root, nginx runs its workers as a user that may not write here.
        user = "user root;" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {self.directory}/{kind};" for kind in kinds)
        main = self.directory / "main.conf"
        main.write_text(
            # One worker process: each of several would begin with the first node.
            f"{user} daemon off; worker_processes 1; pid {self.directory}/nginx.pid;"
            "error_log stderr; events { worker_connections 512; }"
            f"http {{ access_log off; {folders} include {included}; }}"
        )
        return [findProgram(self.name), "-p", str(self.directory), "-c", str(main)]


class Cluster:
    """
    Redis, the nodes, and the proxy.

    @ivar redis: The Redis that the nodes share, with all answered writes on
        disk.

    @ivar nodes: The nodes.

    @ivar front: The proxy.
    """

    def __init__(self, front: type[Front] = HAProxy, *options: str) -> None:
        """
        @param options: More options for each node.
        """
        self._directory = Path(tempfile.mkdtemp(prefix="comet-cluster-"))
        self.nodes: list[CometProcess] = []
        self.redis = RedisServer("--appendonly yes", "--appendfsync always")
        try:
            self.redis.start()
            for number in range(NODES):
                self.nodes.append(self._node(number, options))
            self.front = front(self.nodes, self._directory / "front")
            self.front.start()
        except BaseException:
            self.remove()
            raise

    def _node(self, number: int, options: Sequence[str]) -> CometProcess:
        directory = self._directory / f"node{number}"
        directory.mkdir()
        key = directory / "comet.key"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        bus = ("--bus", f"redis://127.0.0.1:{self.redis.port}/0")
        given = ("--open", "open/**", "--open", "load/**", *bus, *options)
        return CometProcess(*given, directory=directory)

    @property
    def site(self) -> Site:
        """
        The address of the proxy.
        """
        return self.front.site

    def remove(self) -> None:
        """
        Stop all processes, and remove their files.
        """
        if hasattr(self, "front"):
            self.front.stop()
        for node in self.nodes:
            node.kill()
        self.redis.destroy()
        shutil.rmtree(self._directory, ignore_errors=True)
