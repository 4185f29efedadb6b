"""
Tests of L{comet.access.claims}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.access.claims import ClaimRules, checkHeader, readClaims
from comet.errors import BadCredential
from comet.model.clients import Client, Known
from comet.model.grants import Rights
from tests.access.tokencase import NOW

RULES = ClaimRules()
ENDLESS = ClaimRules(isEndless=True)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def read(rules: ClaimRules = RULES, now: float = NOW, /, **claims: Any) -> Client:
    """
    Read claims, with an end in a minute unless they say another.
    """
    return readClaims({"exp": NOW + 60, **claims}, rules, now)


class ClaimTests(SynchronousTestCase):
    """
    L{readClaims} and L{checkHeader}.
    """

    def assertRefused(self, rules: ClaimRules = RULES, /, **claims: Any) -> str:
        """
        Assert that claims are refused.

        @return: Why.
        """
        return str(self.assertRaises(BadCredential, read, rules, **claims).detail)

    def test_client(self) -> None:
        """
        The claims name the client, what it may do, and until when.
        """
        client = read(
            sub="ada",
            jti="t1",
            iat=NOW - 1,
            comet={"subscribe": ["room/{sub}", "chat/*"], "publish": ["chat/a"], "info": {"x": 1}},
        )
        self.assertEqual(client.name, "ada")
        self.assertEqual(client.rights, Rights(("room/ada", "chat/*"), ("chat/a",)))
        self.assertEqual(client.info, {"x": 1})
        self.assertEqual(client.known, Known.TOKEN)
        self.assertEqual((client.expires, client.until), (NOW + 60, NOW + 65))
        self.assertEqual((client.issued, client.credentialID), (NOW - 1, "t1"))
        self.assertFalse(client.isAnonymous or client.mayPublishAll or client.mayAdmin)

    def test_withoutRights(self) -> None:
        """
        A token that was made for something else names its client, and gives no rights;
        one without C{sub} has no name.
        """
        self.assertEqual(read(sub="ada").rights, Rights())
        client = read(comet={"subscribe": ["news"]})
        self.assertEqual((client.name, client.isAnonymous), ("", False))

    def test_times(self) -> None:
        """
        A token counts from 5 seconds before C{nbf} and C{iat} until 5 seconds after
        C{exp}.  Times may have fractions.
        """
        end = NOW + 60
        self.assertEqual(read(RULES, end + 4.99, exp=end).expires, end)
        self.assertRaises(BadCredential, read, RULES, end + 5, exp=end)
        for name in ("nbf", "iat"):
            read(**{name: NOW + 5})
            self.assertIn(name, self.assertRefused(**{name: NOW + 5.01}))
        self.assertEqual(read(exp=NOW + 0.5).until, NOW + 5.5)

    def test_timesThatAreNone(self) -> None:
        """
        A time is a finite number.
        """
        for name in ("exp", "nbf", "iat"):
            values: list[Any] = [None, True, "1", [], float("nan"), float("inf"), 10**400]
            for value in values:
                self.assertIn(name, self.assertRefused(**{name: value}))

    def test_ends(self) -> None:
        """
        A token has to end, and within the lifetime, unless tokens may be endless.
        """
        self.assertRaises(BadCredential, readClaims, {}, RULES, NOW)
        self.assertEqual(readClaims({}, ENDLESS, NOW).until, None)
        rules = ClaimRules(lifetime=100)
        read(rules, exp=NOW + 105)
        self.assertIn("--token-lifetime", self.assertRefused(rules, exp=NOW + 105.1))
        read(ENDLESS, exp=NOW + 1e9)
        # The lifetime counts from iat on, too.
        read(rules, exp=NOW + 5, iat=NOW - 100)
        self.assertIn("--token-lifetime", self.assertRefused(rules, exp=NOW + 5.1, iat=NOW - 100))
        self.assertIn("--token-lifetime", self.assertRefused(rules, exp=NOW + 5, iat=0))
        read(ENDLESS, exp=NOW + 5, iat=0)
        self.assertRaises(BadCredential, read, ENDLESS, exp=NOW - 6)

    def test_issuerAndAudience(self) -> None:
        """
        C{iss} is demanded where it is configured; C{aud} is, too, and a token that has
        one is refused where it is not.
        """
        rules = ClaimRules(issuer="me", audience="us")
        read(rules, iss="me", aud="us")
        read(rules, iss="me", aud=["others", "us"])
        demanded: list[dict[str, Any]] = [
            {},
            {"iss": "me"},
            {"aud": "us"},
            {"iss": "you", "aud": "us"},
        ]
        for claims in demanded:
            self.assertRefused(rules, **claims)
        audiences: list[Any] = ["u", "usa", [], ["usa"], {"us": 1}, None, [["us"]]]
        for audience in audiences:
            self.assertRefused(rules, iss="me", aud=audience)
        for audience in ("us", [], None):
            self.assertRefused(aud=audience)

    def test_notAllowed(self) -> None:
        """
        A token with a claim that is not allowed is bad.
        """
        refused: list[dict[str, Any]] = [
            *({"sub": sub} for sub in ("", "a\nb", "x" * 256, 5, None)),
            *({"jti": jti} for jti in (5, None, "x" * 256)),
            *({"comet": None}, {"comet": []}, {"comet": "all"}, {"comet": True}),
            *({"comet": {"subscribe": names}} for names in ("news", ["a//b"], [5], {"a": 1})),
            {"comet": {"info": "x" * 4096}},
            {"comet": {"subscribe": ["room/{sub}"]}},
            *(
                {"sub": name, "comet": {"publish": ["room/{sub}"]}}
                for name in ("*", "**", "a/b", "$x", ".", "a,b", "#")
            ),
        ]
        for claims in refused:
            self.assertRefused(**claims)
        values: list[Any] = [None, [], "x", 5]
        for value in values:
            self.assertRaises(BadCredential, readClaims, value, ENDLESS, NOW)

    def test_header(self) -> None:
        """
        A token for another purpose is refused, as is one that demands what is not known.
        """
        for kind in ("JWT", "jwt", "at+jwt", "comet+jwt", "application/at+jwt"):
            checkHeader({"alg": "HS256", "typ": kind})
        checkHeader({"jku": "https://evil.example", "x5u": "", "jwk": {}})
        headers: list[dict[str, Any]] = [
            *({"typ": kind} for kind in ("dpop+jwt", "logout+jwt", "", None, 5, ["JWT"])),
            *({"crit": value} for value in ([], ["exp"], None)),
        ]
        for header in headers:
            self.assertRaises(BadCredential, checkHeader, header)

    # The machine may be slow.
    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(["exp", "nbf", "iat", "sub", "aud", "iss", "jti", "comet"]), _JSON
        )
    )
    def test_anything(self, claims: dict[str, Any]) -> None:
        """
        Whatever a token says, it is read or refused, and gives no right to a channel of
        the server's own, nor one without an end.
        """
        try:
            client = readClaims(claims, RULES, NOW)
        except BadCredential:
            return
        self.assertIsNotNone(client.until)
        self.assertFalse(client.mayPublishAll or client.mayAdmin)
