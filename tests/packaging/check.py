"""
Check that the built distributions are whole: a wheel, made from the source
archive, is installed in a clean environment, lists C{comet} in C{twistd --help},
serves one message on every transport, stops at a signal, and leaves nothing
behind when it is uninstalled.  From the top of the checkout::

    python -m tests.packaging.check

It needs C{build}, and access to the packages that comet needs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen
from zipfile import ZipFile

from tests.packaging.clients import (
    HOST,
    PATIENCE,
    TCP,
    Client,
    EventSource,
    Failed,
    LongPoll,
    Poll,
    Received,
    Stream,
    WebSocket,
    currentCursor,
    expect,
    publish,
)
from tests.ports import freePort

ROOT = Path(__file__).resolve().parents[2]
CHANNEL = "packaging/check"
DATA = {"text": "one line\nanother </script> \u2028 \U0001f30d", "list": [1, None, 2.5]}


CLIENT = (
    "comet.d.ts",
    *(
        f"comet{part}.js{end}"
        for part in ("", ".classic", ".presence", ".tabs")
        for end in ("", ".map")
    ),
)


def say(text: str) -> None:
    """
    Print the progress.
    """
    print(f"  {text}", flush=True)


def run(*command: str | Path, cwd: Path) -> str:
    """
    Run a program to its end, away from the checkout's own modules.

    @return: The output.

    @raise Failed: If it did not exit with 0; with all that it printed.
    """
    done = subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600
    )
    if done.returncode != 0:
        raise Failed(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """
    Return the environment, without the variables that lead Python to other
    modules.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def buildWheel(folder: Path) -> Path:
    """
    Make a source archive, and a wheel of its content.
    """
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    names = [name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name]
    served = [str(path.relative_to(ROOT)) for path in pages().values()]
    for name in ("comet/py.typed", "comet/tap.py", "twisted/plugins/comet_plugin.py", *served):
        expect(f"{name} is in {wheel.name}", name in names, True)
    others = [
        name
        for name in names
        if not name.startswith("comet/") and name != "twisted/plugins/comet_plugin.py"
    ]
    expect("what does not belong in the wheel", others, [])
    return wheel


def pages() -> dict[str, Path]:
    """
    Return each static file of the checkout, by its path in a URL.
    """
    static = ROOT / "comet" / "static"
    found = {f"/{name}": static / "client" / name for name in CLIENT}
    for folder, index in (("lab", "/"), ("chat", "/chat")):
        for path in (static / folder).iterdir():
            found[index if path.name == "index.html" else f"/{folder}/{path.name}"] = path
    return found


def look(port: int) -> None:
    """
    Compare every static file that is served with the checkout's.
    """
    found = pages()
    # A script of a page names the client's version, so that it may be kept.
    tag = sha256(found["/comet.js"].read_bytes()).hexdigest()[:16]
    for path, file in found.items():
        with urlopen(f"http://{HOST}:{port}{path}", timeout=PATIENCE) as response:
            body = response.read().replace(b"comet.js?v=" + tag.encode("ascii"), b"comet.js")
            expect(f"what is at {path} is {file.name}", body == file.read_bytes(), True)
    say(f"served {len(found)} files")


def awaitPort(port: int, server: subprocess.Popen[bytes]) -> None:
    """
    Wait until the server accepts connections.
    """
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((HOST, port), PATIENCE).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise Failed(f"nothing listens on port {port}; exit {server.poll()}")


def exchange(port: int, tcpPort: int, key: str) -> None:
    """
    Publish one message, and receive it over every transport.
    """
    since = currentCursor(port, CHANNEL)
    with ExitStack() as stack:
        clients: dict[str, Client] = {}

        def join(name: str, client: Client) -> None:
            clients[name] = stack.enter_context(closing(client))

        join("longpoll", LongPoll(port, CHANNEL, since))
        join("stream", Stream(port, CHANNEL, since))
        join("sse", EventSource(port, CHANNEL, since))
        join("websocket", WebSocket(port, CHANNEL, since))
        join("tcp", TCP(tcpPort, CHANNEL, since))
        cursor = publish(port, key, CHANNEL, DATA)
        join("poll", Poll(port, CHANNEL, since))
        for name, client in clients.items():
            try:
                expect("message", client.receive(), Received(cursor, DATA))
            except (Failed, OSError, ValueError) as error:
                raise Failed(f"{name}: {error}") from error
            say(f"received by {name}")


def serve(twistd: Path, folder: Path) -> None:
    """
    Start the server, use it, and stop it while clients read.
    """
    port, tcpPort = freePort(), freePort()
    endpoints = [f"tcp:{number}:interface={HOST}" for number in (port, tcpPort)]
    command: list[str | Path] = [
        twistd,
        "-n",
        "comet",
        "--pages",
        "--listen",
        endpoints[0],
        "--tcp",
        endpoints[1],
    ]
    logPath = folder / "output"
    with logPath.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        awaitPort(port, server)
        awaitPort(tcpPort, server)
        look(port)
        exchange(port, tcpPort, (folder / "comet.key").read_text("ascii").strip())
        with closing(Stream(port, CHANNEL, currentCursor(port, CHANNEL))):
            server.send_signal(signal.SIGTERM)
            status = server.wait(2 * PATIENCE)
        expect("exit after SIGTERM is 0 or by it", status in (0, -signal.SIGTERM), True)
        say(f"ended by SIGTERM: {status}")
        log = logPath.read_text("utf-8", "replace")
        expect("'Traceback' or 'Unhandled' in the log", "Traceback" in log or "Unhandled" in log, 0)
    except (Failed, OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{error}\n{logPath.read_text('utf-8', 'replace')}") from error
    finally:
        server.kill()
        server.wait()


def lists(twistd: Path, folder: Path) -> bool:
    """
    Whether C{twistd --help} has a line for comet.
    """
    lines = run(twistd, "--help", cwd=folder).splitlines()
    return any(line.split()[:1] == ["comet"] for line in lines)


def check(folder: Path) -> None:
    """
    Run all checks in an empty folder.
    """
    wheel = buildWheel(folder)
    say(f"built {wheel.name}")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    scripts = folder / "venv" / "bin"
    pip = (scripts / "python", "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", wheel, cwd=folder)
    run(*pip, "check", cwd=folder)
    expect("twistd --help lists comet", lists(scripts / "twistd", folder), True)
    say("installed, and known to twistd")
    (folder / "serving").mkdir()
    serve(scripts / "twistd", folder / "serving")
    run(*pip, "uninstall", "--yes", "comet-push", cwd=folder)
    expect("twistd --help lists comet", lists(scripts / "twistd", folder), False)
    say("removed, and Twisted is as it was")


def main() -> int:
    """
    @return: The exit code.
    """
    try:
        with TemporaryDirectory() as folder:
            check(Path(folder))
    except Failed as error:
        print(f"  failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
