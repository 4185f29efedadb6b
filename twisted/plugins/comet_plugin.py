"""
The plugin that adds C{comet} to the commands of C{twistd}.
"""

from twisted.application.service import ServiceMaker

comet = ServiceMaker(
    "Comet server", "comet.tap", "Push messages to browsers by every technique there is.", "comet"
)
