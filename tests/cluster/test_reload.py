"""
Workers that read their configuration again.
"""

from __future__ import annotations

from tests.cluster.case import HISTORY
from tests.edge import reloading
from tests.edge.server import CometProcess
from tests.redisserver import RedisServer


class ReloadTests(reloading.ReloadingTestCase):
    """
    Two workers over Redis.
    """

    workers = 2

    def start(self, *options: str) -> CometProcess:
        """
        Start the server and its Redis.
        """
        redis = RedisServer()
        self.addCleanup(redis.destroy)
        redis.start()
        bus = ["--bus", f"redis://127.0.0.1:{redis.port}/0", "--workers", str(self.workers)]
        return CometProcess(*options, *bus, *HISTORY, directory=self.folder)
