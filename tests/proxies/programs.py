"""
The proxies as processes, with the book's configurations, in which the ports, the
certificate and the host are replaced by those of the test.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.edge.connections import Ended, Silence, Site, ask
from tests.edge.server import ROOT, CometProcess
from tests.edge.tls import makeCertificate
from tests.ports import freePorts

CONFIGURATIONS: Final = ROOT / "docs" / "examples" / "proxies"

HOST: Final = "push.example.com"

# How long a proxy may take to start, in seconds.
STARTING: Final = 60.0


def findProgram(name: str) -> str:
    """
    Return the path of a program.

    @raise AssertionError: If it is not installed.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise AssertionError(f"{name} is not installed, and is needed: sh .ci/programs {name}")
    return found


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


class Proxy:
    """
    A proxy in front of a server; each subclass is one program.

    @cvar name: The name of the program.

    @ivar site: The address of the proxy, with the server's key.
    """

    name = ""

    def __init__(self, comet: CometProcess, directory: Path) -> None:
        self.comet = comet
        self.directory = directory
        self.port, self.tcpPort = freePorts(2)
        self.key, self.certificate = makeCertificate(directory)
        context = ssl.create_default_context(cafile=str(self.certificate))
        self.site = Site(self.port, self.tcpPort, comet.site.key, context, HOST)
        self._log = directory / f"{self.name}.log"

    def prepare(self) -> Sequence[str]:
        """
        Write the configuration.

        @return: The command that runs it in the foreground.
        """
        raise NotImplementedError

    def start(self) -> None:
        """
        Start the proxy, and wait until the server answers through it.
        """
        command = self.prepare()
        environment = {**os.environ, "HOME": str(self.directory)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + STARTING
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if ask(self.site, "GET", "/health").status == 200:
                    return
            except (ConnectionError, Ended, Silence, ssl.SSLError):
                pass
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"{self.name} does not serve\n{self.log()}")

    def stop(self) -> None:
        """
        Stop the proxy.
        """
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """
        Return the end of its log.
        """
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""


class Nginx(Proxy):
    """
    nginx, with the book's file inside the main configuration of Debian.
    """

    name = "nginx"

    def prepare(self) -> Sequence[str]:
        """
        See L{Proxy.prepare}.
        """
        included = self.directory / "comet.conf"
        included.write_text(
            rewritten(
                "nginx.conf",
                {
                    "127.0.0.1:8080": f"127.0.0.1:{self.comet.port}",
                    "listen 443": f"listen 127.0.0.1:{self.port}",
                    "/etc/ssl/push.example.com/fullchain.pem": str(self.certificate),
                    "/etc/ssl/push.example.com/privkey.pem": str(self.key),
                },
            )
        )
        # Started by root, nginx runs its workers as a user that may not write here.
        user = "user root;" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {self.directory}/{kind};" for kind in kinds)
        main = self.directory / "main.conf"
        main.write_text(
            f"{user} daemon off; pid {self.directory}/nginx.pid; error_log stderr;"
            "events { worker_connections 512; }"
            f"http {{ access_log off; {folders} include {included}; }}"
        )
        return [findProgram(self.name), "-p", str(self.directory), "-c", str(main)]


class HAProxy(Proxy):
    """
    HAProxy, which also passes on raw TCP.
    """

    name = "haproxy"

    def prepare(self) -> Sequence[str]:
        """
        See L{Proxy.prepare}.
        """
        both = self.directory / "both.pem"
        both.write_bytes(self.certificate.read_bytes() + self.key.read_bytes())
        path = self.directory / "haproxy.cfg"
        path.write_text(
            rewritten(
                "haproxy.cfg",
                {
                    "127.0.0.1:8080": f"127.0.0.1:{self.comet.port}",
                    "127.0.0.1:8081": f"127.0.0.1:{self.comet.tcpPort}",
                    # More connections than this process may open.
                    "maxconn 20000": "maxconn 500",
                    "bind :443": f"bind 127.0.0.1:{self.port}",
                    "bind :8443": f"bind 127.0.0.1:{self.tcpPort}",
                    "/etc/haproxy/push.example.com.pem": str(both),
                },
            )
        )
        return [findProgram(self.name), "-db", "-f", str(path)]


class Caddy(Proxy):
    """
    Caddy, with the certificate of the test instead of one that it would order
    itself.
    """

    name = "caddy"

    def prepare(self) -> Sequence[str]:
        """
        See L{Proxy.prepare}.
        """
        path = self.directory / "Caddyfile"
        path.write_text(
            "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
            + rewritten(
                "Caddyfile",
                {
                    "127.0.0.1:8080": f"127.0.0.1:{self.comet.port}",
                    f"{HOST} {{": f"{HOST}:{self.port} {{\n"
                    f"\tbind 127.0.0.1\n\ttls {self.certificate} {self.key}",
                },
            )
        )
        return [findProgram(self.name), "run", "--config", str(path), "--adapter", "caddyfile"]
