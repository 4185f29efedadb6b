"""
The banner that the server logs when it has started: its URLs, how to publish and
to read, and warnings of limits that keep it from serving many clients.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IListeningPort

from comet.settings.configuration import Configuration

# With fewer open files a push server is soon full: each client is one.
FEW_FILES: Final = 4096


def banner(
    ports: Sequence[IListeningPort], configuration: Configuration, keyFile: str
) -> list[str]:
    """
    Return the lines to log when the server listens: its addresses, the file of
    the key, and the commands that publish and read.

    @param ports: The ports of C{listen}, in its order, and then those of
        C{tcp}, C{flash-policy} and C{metrics} if they are given.

    @param keyFile: The path of the file that holds the publish key.
    """
    lines = []
    urls = []
    left = iter(ports)
    for description in configuration["listen"]:
        address = _address(next(left))
        # A URL would be of no use: the endpoint refuses a client that does not
        # speak the PROXY protocol.
        if address is None or description.startswith("haproxy:"):
            lines.append(f"comet serves HTTP on {description}")
        else:
            urls.append(f"{_scheme(description)}://{address}")
            lines.append(f"comet serves HTTP on {urls[-1]}/")
    for name, what in (
        ("tcp", "raw TCP"),
        ("flash-policy", "Flash's policy file"),
        ("metrics", "metrics"),
    ):
        if configuration[name] is not None:
            address = _address(next(left))
            if address is not None and name == "metrics":
                address = f"{_scheme(configuration[name])}://{address}/metrics"
            lines.append(f"comet serves {what} on {address or configuration[name]}")
    lines.append(f"the key to publish is in {keyFile}")
    urls += [url.rstrip("/") for url in configuration["public-url"]]
    if configuration["wsgi"] is not None:
        lines.append(f"{configuration['wsgi']} is served at /, and comet below /comet")
        urls = [f"{url}/comet" for url in urls]
    if urls:
        channel = f"{urls[0]}/channels/news"
        # While keys are replaced, there are several lines.
        key = f'"Authorization: Bearer $(head -n 1 {shlex.quote(keyFile)})"'
        lines.append(f"publish:  curl -H {key} -d hello {shlex.quote(channel)}")
        # Where readers need a right, the key gives it.
        shown = f"-H {key} " if configuration.isReadingRestricted else ""
        lines.append(f"listen:   curl -N {shown}{shlex.quote(channel + '?transport=stream')}")
    if urls and configuration.hasPages:
        lines.append(f"in a browser: {urls[0]}/ and {urls[0]}/chat")
    if configuration.openPatterns:
        lines.append(f"open to anyone: {', '.join(configuration.openPatterns)}")
    return lines


def _scheme(description: str) -> str:
    """
    Return the scheme of the URLs of an endpoint.
    """
    return "https" if description.startswith(("ssl:", "tls:")) else "http"


def _address(port: IListeningPort) -> str | None:
    """
    Return the host and number by which a client on this machine reaches a port,
    or L{None} for a UNIX socket.
    """
    host: object = port.getHost()
    if not isinstance(host, (IPv4Address, IPv6Address)):
        return None
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.host, host.host)
    return f"[{shown}]:{host.port}" if ":" in shown else f"{shown}:{host.port}"


def warnings(reactor: object, files: tuple[int, int] | None) -> list[str]:
    """
    Return a line for each limit that keeps the server from serving many clients.

    @param files: The result of L{openFiles<comet.limits.capacity.openFiles>}.
    """
    lines = []
    if type(reactor).__name__ == "SelectReactor":
        lines.append(
            "the select reactor serves about 1000 connections at most: use twistd's "
            "--reactor=epoll, kqueue or poll"
        )
    if files is not None and 0 <= files[0] < FEW_FILES:
        now, most = files
        cure = "the administrator can raise it"
        if not 0 <= most <= now:
            cure = f"raise it with 'ulimit -n {most if most > 0 else 1048576}' before the start"
        lines.append(f"at most {now} files may be open, and each client is one: {cure}")
    return lines
