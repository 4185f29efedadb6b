"""
Reads the URL of a Redis::

    redis://[user:password@]host[:port][/db]
    redis+unix://[user:password@]/path/of/socket[?db=0]
    redis+sentinel://[user:password@]host[:port],host[:port]/service[/db]

C{rediss:} and C{rediss+sentinel:} are the same over TLS.  These parameters may
follow a C{?}, with a C{&} between two: C{prefix}, C{timeout}, C{db},
C{username}, C{password}, C{sentinel_username}, C{sentinel_password}, and with
TLS C{ssl_ca_certs}, C{ssl_certfile}, C{ssl_keyfile}.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote

from attrs import field, frozen

from comet.settings.configuration import ConfigurationError

SCHEMES: Final = ("redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel")

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379

# The beginning of all keys.  A cluster, or a proxy that shards, chooses the
# node of a key by the text within the braces: so all keys are on one node.
PREFIX: Final = "{comet}:"

_FORM: Final = {
    "redis": "redis://[user:password@]host[:port][/db]",
    "rediss": "rediss://[user:password@]host[:port][/db]",
    "redis+unix": "redis+unix:///path/of/socket[?db=0]",
    "redis+sentinel": "redis+sentinel://host[:port],host[:port]/service[/db]",
    "rediss+sentinel": "rediss+sentinel://host[:port],host[:port]/service[/db]",
}
_TLS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]\s]+))(?::([0-9]{1,5}))?")
_PREFIX: Final = re.compile(
    r"[^{}\s\x00-\x1f\x7f]*(\{[^{}\s\x00-\x1f\x7f]+\}[^{}\s\x00-\x1f\x7f]*)?"
)


@frozen
class RedisURL:
    """
    The address of a Redis, and how to log in.

    @ivar scheme: One of L{SCHEMES}.

    @ivar hosts: The hosts and ports of Redis or of the sentinels; empty for a
        UNIX socket.

    @ivar path: The path of the UNIX socket, or empty.

    @ivar service: The name by which the sentinels know this Redis, or empty.

    @ivar db: The number of the database.

    @ivar username: The user to log in as, or empty.

    @ivar password: The password, or L{None}.

    @ivar sentinelUsername: The user to log in as at the sentinels, or empty.

    @ivar sentinelPassword: The password at the sentinels, or L{None}.

    @ivar prefix: The beginning of all keys.

    @ivar timeout: After how many seconds without a reply a connection is
        closed.

    @ivar authorities: A PEM file with the certificates to trust, or empty for
        those of the system.

    @ivar certificate: A PEM file with the certificate of this client, or empty.

    @ivar privateKey: A PEM file with its private key, or empty if the key is in
        the same file.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str = ""
    password: str | None = field(default=None, repr=False)
    sentinelUsername: str = ""
    sentinelPassword: str | None = field(default=None, repr=False)
    prefix: str = PREFIX
    timeout: float = 5.0
    authorities: str = ""
    certificate: str = ""
    privateKey: str = ""

    @property
    def isTLS(self) -> bool:
        """
        Whether the connection is encrypted.
        """
        return self.scheme.startswith("rediss")

    def __str__(self) -> str:
        """
        Write the address for the log, without passwords.
        """
        if self.path:
            return f"{self.scheme}://{self.path}"
        hosts = ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        return f"{self.scheme}://{hosts}" + (f"/{self.service}" if self.service else "")


def parseURL(url: str) -> RedisURL:
    """
    Read the URL of a Redis.

    @raise ConfigurationError: If it is not valid.  The text of the error has no
        password in it.
    """
    scheme, _, rest = url.partition(":")
    if scheme not in SCHEMES or not rest.startswith("//"):
        raise _wrong(scheme, f"{rest[:2]!r} after the colon of the scheme, not '//'")
    if "#" in rest:
        raise _wrong(scheme, "a '#', which has to be written %23")
    rest, _, query = rest[2:].partition("?")
    values = _parseQuery(scheme, query)
    login, at, rest = rest.rpartition("@")
    if at:
        username, colon, password = login.partition(":")
        values.setdefault("username", unquote(username))
        if colon:
            values.setdefault("password", unquote(password))
    start, _, path = rest.partition("/")
    if scheme == "redis+unix":
        if start or not path:
            raise _wrong(scheme, "no path that begins with '/'")
        return _make(scheme, values, path="/" + unquote(path))
    port = SENTINEL_PORT if scheme.endswith("+sentinel") else REDIS_PORT
    hosts = tuple(_parseAddress(scheme, each, port) for each in start.split(","))
    service = ""
    if scheme.endswith("+sentinel"):
        service, _, path = path.partition("/")
        if not service:
            raise _wrong(scheme, "no name of a service after the hosts")
    elif len(hosts) > 1:
        raise _wrong(scheme, f"{len(hosts)} hosts, which only redis+sentinel:// may have")
    if path:
        values.setdefault("db", path)
    return _make(scheme, values, hosts=hosts, service=unquote(service))


def _parseQuery(scheme: str, query: str) -> dict[str, str]:
    known = {"prefix", "timeout", "db", "username", "password"}
    if scheme.endswith("+sentinel"):
        known |= {"sentinel_username", "sentinel_password"}
    if scheme.startswith("rediss"):
        known.update(_TLS)
    values: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise _wrong(scheme, "more than 20 parameters") from None
    for name, value in pairs:
        if name not in known:
            allowed = ", ".join(sorted(known))
            raise ConfigurationError(
                f"{name[:64]!r} is not a parameter of a {scheme}: URL; allowed are {allowed}"
            )
        values[name] = value
    return values


def _parseAddress(scheme: str, text: str, port: int) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text)
    number = int(found[3] or port) if found is not None else 0
    if found is None or not 0 < number < 65536:
        raise _wrong(scheme, f"{text[:64]!r}, which is not a host and port")
    return (found[1] or unquote(found[2]), number)


def _make(
    scheme: str,
    values: dict[str, str],
    hosts: tuple[tuple[str, int], ...] = (),
    path: str = "",
    service: str = "",
) -> RedisURL:
    db, prefix, timeout = (values.get(name, "") for name in ("db", "prefix", "timeout"))
    if db and not (re.fullmatch("[0-9]{1,5}", db) and int(db) < 65536):
        raise _wrong(scheme, f"{db[:64]!r} as a database; 0 to 65535 are allowed")
    if len(prefix) > 64 or _PREFIX.fullmatch(prefix) is None:
        raise _wrong(
            scheme,
            f"{prefix[:64]!r} as a prefix; at most 64 characters without a space are allowed",
        )
    if timeout and not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", timeout):
        raise _wrong(scheme, f"{timeout[:64]!r} as a timeout; 0.1 to 60 seconds are allowed")
    if timeout and not 0.1 <= float(timeout) <= 60:
        raise _wrong(scheme, f"{timeout!r} as a timeout; 0.1 to 60 seconds are allowed")
    # A prefix without braces is put into braces, so that all of it chooses the
    # node.
    if prefix and "{" not in prefix:
        prefix = f"{{{prefix}}}:"
    return RedisURL(
        scheme,
        hosts,
        path,
        service,
        db=int(db or 0),
        username=values.get("username", ""),
        password=values.get("password"),
        sentinelUsername=values.get("sentinel_username", ""),
        sentinelPassword=values.get("sentinel_password"),
        prefix=prefix or PREFIX,
        timeout=float(timeout or 5),
        authorities=values.get("ssl_ca_certs", ""),
        certificate=values.get("ssl_certfile", ""),
        privateKey=values.get("ssl_keyfile", ""),
    )


def _wrong(scheme: str, fault: str) -> ConfigurationError:
    form = _FORM.get(scheme, _FORM["redis"])
    return ConfigurationError(f"the URL of the bus has {fault}; allowed is {form}")
