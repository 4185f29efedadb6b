"""
Tests of C{app.py}, without a server: C{trial test_app}.
"""

from __future__ import annotations

from app import Members
from twisted.trial.unittest import SynchronousTestCase

from comet import Forbidden, Unauthorized
from comet.testing import MemoryClient, MemoryHub


class MembersTests(SynchronousTestCase):
    """
    What members may do, and others may not.
    """

    def setUp(self) -> None:
        """
        Make a hub with the application's access object.
        """
        self.hub = MemoryHub(Members("the-publish-key"))

    def member(self, session: str) -> MemoryClient:
        """
        Connect a browser that has a session.
        """
        return self.successResultOf(self.hub.connect(cookies={"session": session}))

    def test_membersTalk(self) -> None:
        """
        A member reads what another one says.
        """
        ada, bob = self.member("4d1c7a"), self.member("9be02f")
        self.successResultOf(ada.subscribe("rooms/hall"))
        bob.publish("rooms/hall", "tea?")
        self.hub.advance()
        self.assertEqual(ada.data, ["tea?"])

    def test_inboxIsPrivate(self) -> None:
        """
        A member does not read the inbox of another one.
        """
        self.failureResultOf(self.member("9be02f").subscribe("inbox/ada"), Forbidden)
        self.assertEqual(self.hub.countReaders("inbox/ada"), 0)

    def test_onlyBackendsPublishToInboxes(self) -> None:
        """
        A member does not publish to an inbox, and a backend with the publish key does.
        """
        self.failureResultOf(self.member("4d1c7a").publish("inbox/bob", "hi"), Forbidden)
        backend = self.successResultOf(self.hub.connect(token="the-publish-key"))
        backend.publish("inbox/bob", "a parcel")
        [message] = self.hub.published("inbox/*")
        self.assertEqual((message.channel, message.data), ("inbox/bob", "a parcel"))

    def test_unknownSessionIsRefused(self) -> None:
        """
        Who shows a session that is over is not taken for a guest.
        """
        self.failureResultOf(self.hub.connect(cookies={"session": "x"}), Unauthorized)

    def test_messagesExpire(self) -> None:
        """
        A room forgets what was said more than an hour ago, and tells of it.
        """
        self.member("4d1c7a").publish("rooms/hall", "tea?")
        cursor = self.hub.end._replace(position=0)
        self.hub.advance(3601)
        late = self.member("9be02f")
        late.subscribe("rooms/hall", cursor)
        self.assertEqual((late.data, [gap.names for gap in late.gaps]), ([], [("rooms/hall",)]))
