"""
The options of the server: L{OPTIONS} is the one list of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from comet.framing.compression import OFF
from comet.http.forwarded import FORWARDED, X_FORWARDED
from comet.http.outgoing import (
    ASKED,
    BY_CHANNEL,
    EVENTS,
    headerNames,
    hookEvents,
    hookURL,
)
from comet.model.channels import NODES
from comet.model.events import CHANNEL, CURSORS, HOLDERS
from comet.model.presence import PREFIX
from comet.settings.optionvalues import (
    flag,
    function,
    name,
    number,
    oneOf,
    onlyTrue,
    optional,
    presenceName,
    proxy,
    seconds,
    text,
    whole,
)


@frozen
class Option:
    """
    An option of the server.

    @ivar name: The name on the command line and in the file.

    @ivar default: The value if the option is not set.

    @ivar read: Reads a value, which is a text from the command line or any
        value of TOML.  Raises L{ValueError} with what is allowed.

    @ivar help: The help of C{twistd comet --help}; empty if it is the docstring
        of a method of the command line's options.

    @ivar isRepeatable: Whether the option may be given several times.

    @ivar isFlag: Whether the option has no value on the command line.
    """

    name: str
    default: Any
    read: Callable[[Any], Any]
    help: str = ""
    isRepeatable: bool = False
    isFlag: bool = False


_GIB: Final = 1 << 30


OPTIONS: Final = (
    Option(
        "listen",
        ("tcp:8080:interface=127.0.0.1",),
        text,
        isRepeatable=True,
    ),
    Option(
        "public-url",
        (),
        text,
        isRepeatable=True,
    ),
    Option("tcp", None, optional(text), "Serve raw TCP on a Twisted endpoint. Default: off"),
    Option(
        "flash-policy",
        None,
        optional(text),
        "Serve the policy file that lets Flash connect to raw TCP, on a Twisted endpoint. "
        "Default: off",
    ),
    Option(
        "metrics",
        None,
        optional(text),
        "Serve the metrics, to anyone, on a Twisted endpoint of their own. Default: off",
    ),
    Option(
        "bus",
        "memory:",
        text,
        "Where messages are kept: memory:, sqlite:PATH for a file, or redis://HOST, which several "
        "servers can share. Default: memory:",
    ),
    Option(
        "history-messages", 1000, whole(0, _GIB), "Messages held for each channel. Default: 1000"
    ),
    Option(
        "history-seconds",
        3600.0,
        seconds(0.001, 1e9),
        "Seconds a message is held. Default: 3600",
    ),
    Option(
        "history-bytes",
        1048576,
        whole(0, 1 << 50),
        "Bytes of data held for each channel. Default: 1048576",
    ),
    Option(
        "history-total-bytes",
        268435456,
        whole(65536, 1 << 50),
        "Bytes held in all; then the oldest messages go first. Default: 268435456",
    ),
    Option("max-message", 65536, whole(1, 1 << 26), "Bytes a message has at most. Default: 65536"),
    Option(
        "upload-total-bytes",
        67108864,
        whole(65536, 1 << 50),
        "Bytes of request bodies that are on their way, in all; beyond them requests are answered "
        "503. As many for commands that have half come. Default: 67108864",
    ),
    Option("max-depth", 64, whole(1, 256), "Levels of JSON a message has at most. Default: 64"),
    Option(
        "max-connections",
        0,
        whole(0, 1 << 24),
        "Readers and sockets in all; 0 is the limit of open files less 64. Default: 0",
    ),
    Option(
        "connections-per-client",
        0,
        whole(0, 1 << 24),
        "Readers and sockets of a client with a name at most; 0 is any number. Default: 0",
    ),
    Option(
        "connections-per-address",
        0,
        whole(0, 1 << 24),
        "Readers and sockets of an IP address, or of a /64 of IPv6, at most; 0 is any number. "
        "Default: 0",
    ),
    Option(
        "publish-rate",
        0.0,
        number(0.0, 1e6),
        "Messages a second that a client may publish, or an address whose client has no name; 0 "
        "is any number. Default: 0",
    ),
    Option(
        "command-rate",
        100.0,
        number(0.0, 1e6),
        "Commands a second on a connection, beside those that publish, and ten times as many at "
        "once; 0 is any number. Default: 100",
    ),
    Option(
        "trust-proxy",
        (),
        proxy,
        isRepeatable=True,
    ),
    Option(
        "proxy-header",
        X_FORWARDED,
        oneOf(X_FORWARDED, FORWARDED),
        "Where trusted proxies tell the client's address and scheme: x-forwarded for "
        "X-Forwarded-For and X-Forwarded-Proto, or forwarded for Forwarded. Default: x-forwarded",
    ),
    Option("max-channels", 100, whole(1, 10000), "Names of one reader at most. Default: 100"),
    Option("max-batch", 1000, whole(1, 1000000), "Lines of one batch at most. Default: 1000"),
    Option(
        "heartbeat",
        25.0,
        seconds(0.1, 86400.0),
        "Seconds of silence before a heartbeat. Default: 25",
    ),
    Option(
        "compress-above",
        OFF,
        whole(OFF, 1 << 26),
        "Bytes of data from which on a message is compressed, once for all clients that take it; "
        "0 is never. Default: 0",
    ),
    Option(
        "publish-key",
        None,
        optional(text),
        "A file with the key that lets a backend publish anywhere. Default: one is made, in "
        "comet.key",
    ),
    Option(
        "admin-key",
        None,
        optional(text),
        "A file with the key that lets an admin read the server's own channels, and do all that "
        "the publish key does. Default: the publish key is the admin's",
    ),
    Option(
        "token-key",
        (),
        text,
        isRepeatable=True,
    ),
    Option(
        "token-jwks",
        None,
        optional(text),
        "The URL of a JSON Web Key Set, whose keys verify tokens, too. Default: none",
    ),
    Option(
        "token-issuer",
        None,
        optional(text),
        "What every token has to have as its issuer, iss. Default: anything",
    ),
    Option(
        "token-audience",
        None,
        optional(text),
        "What every token has to name as its audience, aud. Default: tokens without it",
    ),
    Option(
        "token-lifetime",
        2592000.0,
        seconds(1.0, 1e9),
        "Seconds from now within which a token has to end. Default: 2592000, 30 days",
    ),
    Option(
        "token-endless",
        False,
        flag,
        "Let tokens be without an end",
        isFlag=True,
    ),
    Option(
        "hook",
        None,
        optional(hookURL),
        "The URL of a backend that is asked, by signed requests, what clients without a key or "
        "token may do. Default: none",
    ),
    Option(
        "hook-secret",
        None,
        optional(text),
        "A file with the secrets that sign what the backend is asked, a line each. Default: one is "
        "made, in comet.hook",
    ),
    Option(
        "hook-headers",
        (),
        headerNames,
        isRepeatable=True,
    ),
    Option(
        "hook-timeout",
        5.0,
        seconds(0.1, 60.0),
        "Seconds for which the backend's answer is waited for. Default: 5",
    ),
    Option(
        "hook-concurrency",
        64,
        whole(1, 10000),
        "Requests to the backend at once; others wait for their turn. Default: 64",
    ),
    Option(
        "hook-events",
        (",".join(ASKED),),
        hookEvents,
        isRepeatable=True,
    ),
    Option(
        "hook-failure",
        "refuse",
        oneOf("refuse", "allow"),
        "What becomes of subscribing and publishing where the backend gives no answer: refuse, or "
        "allow. Default: refuse",
    ),
    Option(
        "open",
        (),
        name,
        isRepeatable=True,
    ),
    Option(
        "open-read",
        (),
        name,
        isRepeatable=True,
    ),
    Option(
        "presence",
        (),
        presenceName,
        isRepeatable=True,
    ),
    Option(
        "presence-grace",
        10.0,
        seconds(0.0, 3600.0),
        "Seconds for which a client without a reader stays a member of a channel. Default: 10",
    ),
    Option(
        "allow-origin",
        (),
        text,
        isRepeatable=True,
    ),
    Option(
        "drain",
        10.0,
        seconds(0.0, 3600.0),
        "Seconds at SIGTERM within which clients are sent away, and requests under way are "
        "finished. Default: 10",
    ),
    Option(
        "drain-notice",
        0.0,
        seconds(0.0, 3600.0),
        "Seconds at SIGTERM for which /health/ready answers 503 before anything else happens, for "
        "load balancers. Default: 0",
    ),
    Option(
        "idle-timeout",
        75.0,
        seconds(1.0, 86400.0),
        "Seconds without a request after which an HTTP connection is closed. Default: 75",
    ),
    Option(
        "workers",
        1,
        whole(1, 1024),
        "Processes that serve the same ports; more than one need a bus that they share. Default: 1",
    ),
    Option(
        "app",
        None,
        optional(function),
        "MODULE:FUNCTION of an application, called with the server before it serves: to set its "
        "access, and to add resources and transports. Default: none",
    ),
    Option(
        "wsgi",
        None,
        optional(function),
        "MODULE:CALLABLE of a WSGI application, such as a Flask or Django site, served at /, with "
        "comet below /comet. Default: none",
    ),
    Option(
        "wsgi-threads",
        20,
        whole(1, 1024),
        "Requests that the WSGI application answers at once. Default: 20",
    ),
    Option(
        "edge",
        "lean",
        oneOf("lean", "twisted"),
        "How TCP is served, plain or over TLS: lean, in an epoll of its own, on Linux; or by "
        "Twisted, as everything else is. Default: lean",
    ),
    Option(
        "log-format",
        "text",
        oneOf("text", "json"),
        "The form of the log: text, or json, an object a line. Default: text",
    ),
    Option(
        "access-log",
        None,
        optional(text),
        "A file to which a line is written for each request and reader. Default: none",
    ),
    Option(
        "demo",
        False,
        flag,
        "Serve the pages / and /chat, open their channels, lab/** and chat/**, to anyone, and keep "
        "presence of chat/**",
        isFlag=True,
    ),
    Option(
        "pages",
        False,
        flag,
        "Serve the pages / and /chat, and open no channels for them",
        isFlag=True,
    ),
)


BY_NAME: Final = {option.name: option for option in OPTIONS}


# The options that all nodes with one bus should have in common, beside the tables
# of channels.
SHARED: Final = (
    "history-messages",
    "history-seconds",
    "history-bytes",
    "history-total-bytes",
    "max-message",
    "allow-origin",
    "public-url",
    "presence-grace",
)


# What a running server takes anew when it reads its file again.
RELOADED: Final = frozenset(
    {
        "public-url",
        "history-messages",
        "history-seconds",
        "history-bytes",
        "history-total-bytes",
        "max-message",
        "upload-total-bytes",
        "max-depth",
        "max-connections",
        "max-channels",
        "max-batch",
        "heartbeat",
        "compress-above",
        "publish-key",
        "admin-key",
        "open",
        "open-read",
        "connections-per-client",
        "connections-per-address",
        "publish-rate",
        "command-rate",
        "trust-proxy",
        "proxy-header",
        "token-key",
        "token-jwks",
        "token-issuer",
        "token-audience",
        "token-lifetime",
        "token-endless",
        "hook",
        "hook-secret",
        "hook-headers",
        "hook-timeout",
        "hook-concurrency",
        "hook-events",
        "hook-failure",
        "presence",
        "presence-grace",
        "allow-origin",
        "drain",
        "drain-notice",
    }
)


RETENTION: Final[tuple[str, ...]] = ("history-messages", "history-seconds", "history-bytes")


# What the backend or the application is asked about channels, in their tables.
HOOKS: Final = "hooks"


PRESENCE: Final = "presence"

OPEN: Final = "open"
OPEN_READ: Final = "open-read"

COMPRESS: Final = "compress-above"


# What can be set for channels.
OF_CHANNELS: Final = {
    **{name: BY_NAME[name] for name in RETENTION},
    HOOKS: Option(HOOKS, (), oneOf(*BY_CHANNEL), isRepeatable=True),
    PRESENCE: Option(PRESENCE, False, flag, isFlag=True),
    EVENTS: Option(EVENTS, False, flag, isFlag=True),
    OPEN: Option(OPEN, False, onlyTrue, isFlag=True),
    OPEN_READ: Option(OPEN_READ, False, onlyTrue, isFlag=True),
    COMPRESS: BY_NAME[COMPRESS],
}


# How much is held of the server's own channels, by what their names begin with: of those
# that tell of members, of events, of what is kept beside the log, and of the nodes.
OWN: Final = {
    PREFIX: (20_000, 600.0, 8 * 1024 * 1024),
    CHANNEL: (100_000, 86_400.0, 64 * 1024 * 1024),
    HOLDERS: (10, 60.0, 65_536),
    CURSORS: (10, 60.0, 65_536),
    NODES: (100, 60.0, 4 * 1024 * 1024),
}


CHAT: Final = "chat/**"
DEMO: Final = ("lab/**", CHAT)
