"""
Messages that are compressed, read by clients that share no code with comet: curl, with
HTTP/1.0, 1.1 and 2; C{websockets} and npm's C{ws}.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.edge.case import EdgeTestCase
from tests.edge.publisher import publish
from tests.edge.server import CometProcess

OPTIONS = ("--compress-above", "100", "--open", "open/**")

# Every third is below the bound.
DATA: list[Any] = [{"n": n, "text": f"{n} ü 狐 <&> " * (30 if n % 3 else 1)} for n in range(12)]
HELD, LIVE = DATA[:6], DATA[6:]


def data(envelopes: list[str]) -> list[Any]:
    """
    Return the data of the messages among envelopes.
    """
    values = [json.loads(envelope) for envelope in envelopes if envelope]
    return [value["data"] for value in values if "data" in value]


class CompressedTests(EdgeTestCase):
    """
    A server with C{--compress-above}.
    """

    def begin(self, edge: str) -> CometProcess:
        """
        Start a server that has messages.
        """
        server = self.startServer(*OPTIONS, "--edge", edge)
        for each in HELD:
            publish(server.site, "open/a", each)
        return server

    def curl(self, url: str, *options: str) -> subprocess.Popen[str]:
        """
        Start curl, which undoes the coding, and shows the head of the response first.
        """
        command = ["curl", "-sSNik", "--compressed", *options, url]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self.addCleanup(process.kill)
        return process

    def lines(self, process: subprocess.Popen[str], until: str) -> list[str]:
        """
        Read lines up to one that has a text.
        """
        assert process.stdout is not None
        found: list[str] = []
        while not found or until not in found[-1]:
            line = process.stdout.readline()
            if not line:
                raise self.failureException(f"it has ended: {found[-5:]} {process.communicate()}")
            found.append(line.rstrip("\n"))
        return found

    def streams(self, server: CometProcess, url: str, *curlOptions: str) -> None:
        """
        Read streams with curl, up to the end of the server, which is no error.
        """
        processes = {
            transport: self.curl(
                f"{url}/channels/open/a?transport={transport}&since=earliest", *curlOptions
            )
            for transport in ("stream", "sse")
        }
        heard = {
            name: self.lines(process, f'"n":{len(HELD) - 1},')
            for name, process in processes.items()
        }
        for each in LIVE:
            publish(server.site, "open/a", each)
            for name, process in processes.items():
                heard[name] += self.lines(process, f'"n":{each["n"]},')
        server.stop()
        for name, process in processes.items():
            out, err = process.communicate(timeout=30)
            heard[name] += out.splitlines()
            self.assertEqual((process.returncode, err), (0, ""), name)
            head = heard[name][: heard[name].index("")]
            self.assertIn("content-encoding: gzip", [line.lower() for line in head], name)
            self.assertIn("draining", heard[name][-1] + heard[name][-2], name)
        body = heard["stream"][heard["stream"].index("") + 1 :]
        self.assertEqual(data(body), DATA)
        events = [line[6:] for line in heard["sse"] if line.startswith("data: {")]
        self.assertEqual([json.loads(each) for each in events][: len(DATA)], DATA)

    def test_curl(self) -> None:
        """
        Curl reads streams over HTTP/1.1 and 1.0, and their end without a trailer.
        """
        for edge in ("lean", "twisted"):
            for version in ("--http1.1", "--http1.0"):
                server = self.begin(edge)
                self.streams(server, f"http://127.0.0.1:{server.site.port}", version)

    def test_secure(self) -> None:
        """
        Curl reads streams over TLS, with HTTP/1.1 and HTTP/2, and their end.
        """
        for version in ("--http1.1", "--http2"):
            server = self.startTls(*OPTIONS)
            for each in HELD:
                publish(server.site, "open/a", each)
            self.streams(server, f"https://127.0.0.1:{server.site.port}", version)

    def test_polls(self) -> None:
        """
        Curl reads poll bodies, whose trailer is right: it complains about a wrong one.
        """
        secure = self.startTls(*OPTIONS)
        for each in HELD:
            publish(secure.site, "open/a", each)
        servers = [(f"https://127.0.0.1:{secure.site.port}", "--http2")]
        for edge in ("lean", "twisted"):
            url = f"http://127.0.0.1:{self.begin(edge).site.port}"
            servers += [(url, "--http1.1"), (url, "--http1.0")]
        for url, version in servers:
            for transport in ("poll", "longpoll"):
                asked = f"{url}/channels/open/a?transport={transport}&since=earliest"
                out, err = self.curl(asked, version).communicate(timeout=30)
                head, _, body = out.partition("\n\n")
                self.assertEqual(err, "")
                self.assertIn("content-encoding: gzip", head.lower())
                self.assertIn('-gzip"', head)
                self.assertEqual([each["data"] for each in json.loads(body)["messages"]], HELD)

    def test_websockets(self) -> None:
        """
        C{websockets} and C{ws} read all messages; what the former compresses arrives; a
        bomb of it closes the connection, and harms no other.
        """
        script = Path(__file__).with_name("wsreader.mjs")
        for edge in ("lean", "twisted"):
            server = self.begin(edge)
            url = f"ws://127.0.0.1:{server.site.port}/channels/open/a?since=earliest"
            node = subprocess.Popen(
                ["node", str(script), url], stdout=subprocess.PIPE, text=True, bufsize=1
            )
            self.addCleanup(node.kill)
            with connect(url) as reader, connect(url) as bomber:
                headers = reader.response.headers if reader.response else {}
                self.assertIn("permessage-deflate", headers["Sec-WebSocket-Extensions"])
                bomber.send("0" * 100_000_000)
                for each in LIVE:
                    reader.send(json.dumps({"publish": "open/a", "data": each}))
                envelopes: list[str] = []
                while len(data(envelopes)) < len(DATA):
                    envelopes.append(str(reader.recv(timeout=60)))
                self.assertEqual(data(envelopes), DATA)
                while bomber.protocol.close_code is None or bomber.protocol.state.name == "OPEN":
                    try:
                        bomber.recv(timeout=60)
                    except Exception:
                        break
                self.assertEqual(bomber.protocol.close_code, 1009)
            heard = self.lines(node, f'"n":{len(DATA) - 1},')
            self.assertEqual(data(heard), DATA)
            server.stop()
            out, _ = node.communicate(timeout=30)
            self.assertIn("permessage-deflate", out.splitlines()[-1])
