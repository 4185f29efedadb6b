"""
Measures what tokens cost: a thousand clients, each with a token of its own, poll one
channel; and, in turns with them, as many clients with as many different URLs of the same
length, of a server without tokens::

    python -m tests.edge.tokencosts [--header] [--edge twisted] [--clients N] [--rounds N]

It prints the server's CPU a delivery of both, in microseconds, and the ratio.
"""

from __future__ import annotations

import json
import secrets
import socket
import statistics
import time
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

import jwt

from tests.edge.connections import ask
from tests.edge.server import CometProcess

SECRET = secrets.token_urlsafe(48)


class Crowd:
    """
    A server, and clients with a connection each.
    """

    def __init__(self, server: CometProcess, extras: list[tuple[str, str]]) -> None:
        """
        @param extras: For each client, what its query and its headers have beside.
        """
        self.server = server
        self.extras = extras
        self.sockets = [socket.create_connection(("127.0.0.1", server.site.port)) for _ in extras]
        self.key = {"Authorization": f"Bearer {server.site.key}"}
        answer = ask(server.site, "HEAD", "/channels/news", self.key)
        self.cursor = answer.headers["etag"].strip('"')
        self.costs: list[float] = []

    def cpu(self) -> int:
        """
        Return the CPU time of the server so far, in nanoseconds.
        """
        text = Path(f"/proc/{self.server.process}/schedstat").read_text("ascii")
        return int(text.split()[0])

    def round(self) -> None:
        """
        Let all clients poll, publish one message, and let all receive it.
        """
        before = self.cpu()
        for each, (query, headers) in zip(self.sockets, self.extras, strict=True):
            each.sendall(
                f"GET /channels/news?transport=longpoll&since={self.cursor}{query} HTTP/1.1\r\n"
                f"Host: localhost\r\n{headers}\r\n".encode()
            )
        self.quieten()
        answer = ask(self.server.site, "POST", "/channels/news", self.key, b"x" * 100)
        assert answer.status == 201, answer
        self.cursor = json.loads(answer.body)["cursor"]
        for each in self.sockets:
            received = b""
            while not received.endswith(b"]}\n"):
                data = each.recv(65536)
                assert data, received
                received += data
            assert b" 200 " in received, received
        self.quieten()
        self.costs.append((self.cpu() - before) / len(self.sockets) / 1000)

    def quieten(self) -> None:
        """
        Wait until the server has nothing more to do.
        """
        before = -1
        while before != (before := self.cpu()):
            time.sleep(0.05)


def main() -> None:
    """
    Measure, and print.
    """
    parser = ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--edge", default="lean")
    parser.add_argument("--header", action="store_true", help="the tokens stand in Authorization")
    given = parser.parse_args()
    tokens = [
        jwt.encode(
            {
                "sub": f"u{n}",
                "exp": time.time() + 3600,
                "comet": {"subscribe": ["news", "u/{sub}"]},
            },
            SECRET,
            "HS256",
        )
        for n in range(given.clients)
    ]
    others = [secrets.token_urlsafe(len(token))[: len(token)] for token in tokens]
    if given.header:
        shown = [("", f"Authorization: Bearer {token}\r\n") for token in tokens]
        plain = [(f"&u={n}", f"X-Something: Bearer {each}\r\n") for n, each in enumerate(others)]
    else:
        shown = [(f"&token={token}", "") for token in tokens]
        plain = [(f"&other={each}", "") for each in others]
    with TemporaryDirectory() as directory:
        path = Path(directory) / "secret"
        path.write_text(SECRET)
        servers = [
            CometProcess("--edge", given.edge, "--token-key", str(path)),
            CometProcess("--edge", given.edge),
        ]
        try:
            crowds = [Crowd(servers[0], shown), Crowd(servers[1], plain)]
            for _ in range(given.rounds + 2):
                for crowd in crowds:
                    crowd.round()
            # In the first rounds each token is verified.
            costs = [statistics.median(crowd.costs[2:]) for crowd in crowds]
            first = [crowd.costs[0] for crowd in crowds]
        finally:
            for server in servers:
                server.stop()
    print(f"with tokens {costs[0]:.1f}, without {costs[1]:.1f}, ratio {costs[0] / costs[1]:.3f}")
    print(f"first round: with tokens {first[0]:.1f}, without {first[1]:.1f}")


if __name__ == "__main__":
    main()
