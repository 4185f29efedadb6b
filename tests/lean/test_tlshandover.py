"""
Tests of L{comet.lean.tlshandover}: TLS that goes on where the lean edge has stopped.
"""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

from OpenSSL.SSL import Error, SysCallError, WantReadError
from twisted.trial.unittest import SynchronousTestCase

from comet.lean.tlshandover import ContinuedTLS


class Silent:
    """
    TLS over which nothing comes.
    """

    isOver = False

    def decrypt(self, data: bytes) -> bytes:
        """
        Decrypt a part of a record.
        """
        return b""


class EndTests(SynchronousTestCase):
    """
    The end of what comes, which is told as often as it is asked for.
    """

    def test_leavesNothing(self) -> None:
        """
        Errors keep nothing of the connection.
        """
        silent: Any = Silent()
        tls = ContinuedTLS(silent)
        tls.bio_write(b"part")
        self.addCleanup(gc.enable)
        gc.disable()
        told: list[type[Error]] = []
        for _ in range(3):
            try:
                tls.recv(9)
            except Error as error:
                told.append(type(error))
            tls.bio_shutdown()
        self.assertEqual(told, [WantReadError, SysCallError, SysCallError])
        known = ref(tls)
        del tls
        self.assertIsNone(known())
