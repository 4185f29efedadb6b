"""
Where the backend is.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.hooks.hooksettings import HookSettings


class SettingsTests(SynchronousTestCase):
    """
    Where the backend is, and what signs requests.
    """

    def test_shown(self) -> None:
        """
        Settings do not show their secrets.
        """
        self.assertNotIn("sesame", repr(HookSettings("http://x/", (b"sesame",))))
