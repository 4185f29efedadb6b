"""
The plugins that add C{comet} to the commands of C{twistd}, and to its reactors.
"""

from twisted.application.reactors import Reactor
from twisted.application.service import ServiceMaker

comet = ServiceMaker(
    "Comet server", "comet.tap", "Push messages to browsers by every technique there is.", "comet"
)

cometReactor = Reactor(
    "comet", "comet.lean.epollreactor", "epoll(7), with comet's lean connections in it."
)
