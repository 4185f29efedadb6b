"""
The headers of signed requests.
"""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase

from comet.hooks.signing import readSecret, sign, writeSecret


class SigningTests(SynchronousTestCase):
    """
    Secrets and signatures.
    """

    def test_vector(self) -> None:
        """
        The example that the libraries of Standard Webhooks share has its signature.
        """
        secret = readSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        made = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
        self.assertEqual(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_several(self) -> None:
        """
        While a secret is rotated, there is a signature by each, with a space between them.
        """
        old, new = bytes(24), bytes([1] * 64)
        both = sign([old, new], "msg_1", 5, b"{}")
        self.assertEqual(
            both.split(" "), [sign([old], "msg_1", 5, b"{}"), sign([new], "msg_1", 5, b"{}")]
        )

    @given(binary(min_size=24, max_size=64))
    def test_secrets(self, secret: bytes) -> None:
        """
        A secret that is written is read again.
        """
        self.assertEqual(readSecret(writeSecret(secret)), secret)

    def test_noSecrets(self) -> None:
        """
        Another form, or too few or many bytes, is refused; the text does not tell it.
        """
        for text in (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
            "whsec_MfKQ9r8GKY rTwjUPD8ILPZIo2LaLaSw",
            "whsec_\xe9fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_" + base64.b64encode(bytes(23)).decode(),
            "whsec_" + base64.b64encode(bytes(65)).decode(),
        ):
            error = self.assertRaises(ValueError, readSecret, text)
            self.assertNotIn("fKQ9r8", str(error))
