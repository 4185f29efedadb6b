"""
Tests of servers whose issuer serves its keys badly: tokens of keys that are known are
let in, on both edges, and the issuer is not asked again and again.
"""

from __future__ import annotations

import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.access.issuer import Issuer
from tests.access.tokencase import privateKey, publicJWK
from tests.edge.badtokens import KEYS, Made
from tests.edge.case import EdgeTestCase
from tests.edge.connections import HttpConnection, Site, TcpConnection, ask
from tests.edge.envelopes import problemOf

TARGET = "/channels/rooms/a?transport=poll"


def key() -> ec.EllipticCurvePrivateKey:
    """
    Return the key with which the issuer signs.
    """
    found: ec.EllipticCurvePrivateKey = privateKey("ES256")
    return found


def keySet() -> bytes:
    """
    Make the issuer's key set.
    """
    return json.dumps({"keys": [publicJWK(key(), "ES256", kid="a")]}).encode()


def served(ident: str = "a", **claims: object) -> dict[str, str]:
    """
    Make the header of a client whose token the issuer has signed.
    """
    said = {**Made().said(), **claims}
    text = jwt.encode(said, key(), "ES256", headers={"kid": ident})
    return {"Authorization": f"Bearer {text}"}


def known() -> dict[str, str]:
    """
    Make the header of a client whose token a key of a file has signed.
    """
    return {"Authorization": f"Bearer {Made({'jti': str(time.time())}).text()}"}


class IssuerTests(EdgeTestCase):
    """
    The lean edge, which is the default.
    """

    edge = "lean"

    def begin(self, manner: str) -> tuple[Issuer, Site]:
        """
        Start an issuer, and a server that has asked it.
        """
        issuer = Issuer(keySet(), manner)
        self.addCleanup(issuer.stop)
        options = (*KEYS.options, "--token-jwks", issuer.url, "--edge", self.edge)
        return issuer, self.startServer(*options).site

    def test_good(self) -> None:
        """
        Tokens of the issuer's keys are let in, those of a key that it does not have are
        bad, and it is asked once.
        """
        issuer, site = self.begin("good")
        for number in range(3):
            self.assertEqual(ask(site, "GET", TARGET, served(jti=str(number))).status, 200)
            answer = ask(site, "GET", TARGET, served("b", jti=str(number)))
            code = problemOf(answer.status, answer.headers, answer.body)
            challenge = answer.headers["www-authenticate"]
            self.assertEqual((code, challenge), ("unauthorized", 'Bearer error="invalid_token"'))
        self.assertEqual(issuer.asked, 1)

    def test_bad(self) -> None:
        """
        While the keys cannot be had, tokens that they may have signed are answered when
        to come again; others notice nothing.
        """
        # The others are tested in L{tests.access.test_jwks}.
        for manner in ("failing", "huge"):
            issuer, site = self.begin(manner)
            for number in range(3):
                answer = ask(site, "GET", TARGET, served(jti=str(number)))
                code = problemOf(answer.status, answer.headers, answer.body)
                self.assertEqual((answer.status, code), (503, "unavailable"), manner)
                self.assertIn(int(answer.headers["retry-after"]), range(1, 11), manner)
                self.assertEqual(ask(site, "GET", TARGET, known()).status, 200, manner)
            self.assertEqual(issuer.asked, 1, manner)

    def test_hanging(self) -> None:
        """
        A token that they may have signed waits for keys that are on their way, and is let
        in with them; meanwhile others are.
        """
        issuer, site = self.begin("hanging")
        waiting = [HttpConnection(TcpConnection(site.port)) for _ in range(3)]
        for number, http in enumerate(waiting):
            self.addCleanup(http.tcp.close)
            http.send("GET", TARGET, served(jti=str(number)))
        for _ in range(3):
            self.assertEqual(ask(site, "GET", TARGET, known()).status, 200)
        issuer.release()
        self.assertEqual([http.answer().status for http in waiting], [200] * 3)
        self.assertEqual(issuer.asked, 1)


class TwistedIssuerTests(IssuerTests):
    """
    Twisted's edge.
    """

    edge = "twisted"
