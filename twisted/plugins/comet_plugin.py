"""
Makes C{twistd comet} known to Twisted.
"""

from twisted.application.service import ServiceMaker

comet = ServiceMaker(
    "Comet server", "comet.tap", "Push messages to browsers by every technique there is.", "comet"
)
