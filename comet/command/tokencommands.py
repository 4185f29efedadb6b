"""
C{comet token}: make a token, read what one says, and judge it as a server would.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import click

from comet.access.claims import ClaimRules
from comet.access.granted import SUBJECT
from comet.access.jwtform import isJWTForm
from comet.access.maketoken import TokenRequest, makeToken
from comet.access.tokenkeys import MAX_KEY_FILE, TokenKey, readTokenKeys
from comet.command.console import Failed, Refused, printable, say, show, showJSON, strong
from comet.command.givencredentials import givenToken
from comet.errors import BadCredential
from comet.http.credentials import Credential, CredentialSource
from comet.model.clients import Client
from comet.settings.configuration import Configuration, readFile

RIGHTS = ("subscribe", "publish", "presence")


@click.group("token", short_help="Make a token, read one, or judge one.")
def tokenGroup() -> None:
    """
    Tokens (JSON Web Tokens), which say what a client may read and publish.
    """


def _repeated(name: str, help: str) -> Callable[[Any], Any]:
    return click.option(f"--{name}", multiple=True, metavar="PATTERN", help=help)


_isJSON = click.option("--json", "isJSON", is_flag=True, help="Print JSON, for programs.")


@tokenGroup.command("make", short_help="Make a token, and print it.")
@click.option(
    *("--key", "keyFile"),
    required=True,
    type=click.Path(),
    metavar="FILE",
    help="The file of a secret, or of a private key in PEM.",
)
@click.option("--sub", metavar="NAME", help="The name of the client.")
@_repeated("subscribe", f"The client may read it; {SUBJECT} is its name. Repeatable.")
@_repeated("publish", "The client may publish to it. Repeatable.")
@_repeated("presence", "The client may know who is there. Repeatable.")
@click.option("--info", metavar="JSON", help="What others are shown of the client.")
@click.option(
    *("--seconds",),
    type=click.IntRange(1),
    default=3600,
    show_default=True,
    help="How long the token counts.",
)
@click.option("--issuer", metavar="NAME", help="The claim iss.")
@click.option("--audience", metavar="NAME", help="The claim aud.")
@click.option("--jti", metavar="ID", help="What revokes this token alone.")
@click.option("--kid", metavar="ID", help="The name of the key, in a key set.")
@_isJSON
def makeCommand(
    keyFile: str,
    sub: str | None,
    info: str | None,
    seconds: int,
    issuer: str | None,
    audience: str | None,
    jti: str | None,
    kid: str | None,
    isJSON: bool,
    **rights: tuple[str, ...],
) -> None:
    """
    Make a token for a client, signed with the secret or the private key whose other half a
    server has as its --token-key. Prints the token.
    """
    granted: dict[str, Any] = {name: list(rights[name]) for name in RIGHTS if rights[name]}
    if info is not None:
        granted["info"] = _readJSON(info)
    asked = TokenRequest(seconds, granted, sub, issuer, audience, jti, kid)
    now = time.time()
    try:
        token = makeToken(_readFile(keyFile), asked, now)
    except ImportError:
        raise _noPackages() from None
    except (ValueError, BadCredential) as error:
        raise Failed(str(error)) from None
    if isJSON:
        showJSON({"token": token, "expires": int(now + seconds)})
    else:
        show(token)


def _readJSON(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise click.BadParameter(f"{text[:64]!r} is no JSON", param_hint="--info") from None


def _readFile(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            # One byte more than the file of a key may have: enough to see that it is none.
            return file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise Failed(f"the key {path!r} cannot be read: {error.strerror}") from None


def _noPackages() -> Failed:
    return Failed("tokens need packages that are not installed: pip install 'comet-push[tokens]'")


_token = click.argument("token", required=False)
_tokenFile = click.option(
    *("--token-file", "tokenFile"),
    type=click.Path(),
    metavar="FILE",
    help="The file of the token.",
)


@tokenGroup.command("read", short_help="Print what a token says.")
@_token
@_tokenFile
@_isJSON
def readCommand(token: str | None, tokenFile: str | None, isJSON: bool) -> None:
    """
    Print what a token says, without judging it.

    TOKEN may be in --token-file, in the variable COMET_TOKEN, or come from the standard
    input: other users of the machine see the words of a command line.
    """
    text = givenToken(token, tokenFile)
    if not isJWTForm(text):
        raise Failed("the token is no JSON Web Token")
    try:
        header, claims = map(_decodePart, text.split(".")[:2])
    except (ValueError, RecursionError):
        raise Failed("the token is no JSON Web Token: it holds no JSON") from None
    if isJSON:
        showJSON({"header": header, "claims": claims})
        return
    say("this is what the token says; whether it is true, 'comet token check' tells")
    for part in (header, claims):
        for line in _members(part):
            show(line)


def _decodePart(part: str) -> Any:
    value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    return value


def _members(part: dict[str, Any]) -> Iterator[str]:
    """
    Yield a line for each member of a part of a token.
    """
    for name, value in part.items():
        text = json.dumps(value, ensure_ascii=False)
        if name in ("exp", "iat", "nbf"):
            text += _asDate(value)
        yield f"{strong(printable(name))}: {printable(text)}"


def _asDate(value: Any) -> str:
    """
    Return a time of a token as a date of this place, in parentheses; nothing if it is none.
    """
    try:
        return f" ({datetime.fromtimestamp(value).astimezone().isoformat(' ', 'seconds')})"
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


@tokenGroup.command("check", short_help="Judge a token as a server would.")
@_token
@_tokenFile
@click.option(
    *("--key", "keyFiles"),
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="The file of a key, as --token-key of the server has it. Repeatable.",
)
@click.option("--issuer", metavar="NAME", help="The issuer that the server demands.")
@click.option("--audience", metavar="NAME", help="The audience that the server demands.")
@click.option(
    "--config", type=click.Path(), metavar="FILE", help="The configuration file of the server."
)
@_isJSON
def checkTokenCommand(
    token: str | None,
    tokenFile: str | None,
    keyFiles: tuple[str, ...],
    issuer: str | None,
    audience: str | None,
    config: str | None,
    isJSON: bool,
) -> None:
    """
    Judge a token as a server with these options, or with this configuration file, would.
    Exits with 3 if it would refuse the token. Whether the token was revoked is not known
    here, and keys are not fetched from --token-jwks.

    TOKEN is found as 'comet token read' finds it.
    """
    text = givenToken(token, tokenFile)
    options = {"token-key": keyFiles, "token-issuer": issuer, "token-audience": audience}
    given = {name: value for name, value in options.items() if value}
    try:
        configuration = Configuration(given, None if config is None else readFile(config))
    except ValueError as error:
        raise Failed(str(error)) from None
    if not configuration["token-key"]:
        raise click.UsageError("Missing option '--key', or a '--config' with token-key.")
    try:
        client = _judge(configuration, text)
    except ImportError:
        raise _noPackages() from None
    if isJSON:
        showJSON(_asJSON(client))
    else:
        for line in _described(client):
            show(line)


def _judge(configuration: Configuration, text: str) -> Client:
    """
    Return the client of a token.

    @raise Failed: If the token is refused, or a key cannot be read.
    """
    # It loads Twisted, for which no other command should wait.
    from comet.access.tokens import TokenVerifier

    keys: list[TokenKey] = []
    for path in configuration["token-key"]:
        try:
            keys += readTokenKeys(_readFile(path))
        except ValueError as error:
            raise Failed(f"the file {path!r} has no key: {error}") from None
    rules = ClaimRules(
        configuration["token-issuer"],
        configuration["token-audience"],
        configuration["token-endless"],
        configuration["token-lifetime"],
    )
    verifier = TokenVerifier(keys, rules, time.time)
    try:
        client = verifier.clientOf(Credential(text, CredentialSource.AUTHORIZATION))
    except BadCredential as error:
        raise Refused(f"refused: {error.detail}") from None
    # There is no key set that is fetched, for which it would have to wait.
    assert client is not None
    return client


def _asJSON(client: Client) -> dict[str, Any]:
    return {
        "client": client.name or None,
        **{name: list(getattr(client.rights, name)) for name in RIGHTS},
        "info": client.info,
        "expires": client.expires,
    }


def _described(client: Client) -> Iterator[str]:
    """
    Yield what a client may do, in lines.
    """
    yield f"{strong('client')}: {printable(client.name) or '(without a name)'}"
    for name in RIGHTS:
        patterns = ", ".join(getattr(client.rights, name))
        yield f"{strong(name)}: {printable(patterns) or '(nothing)'}"
    if client.info is not None:
        yield f"{strong('info')}: {printable(json.dumps(client.info, ensure_ascii=False))}"
    if client.expires is None:
        yield f"{strong('ends')}: never"
    else:
        left = client.expires - time.time()
        yield f"{strong('ends')}: in {left:.0f} seconds{_asDate(client.expires)}"
