"""
One connection, with the failures of a client in place of those of the network.
"""

from __future__ import annotations

from comet.client.clientsteps import Connect, Connection, Receive, Send, Steps
from comet.client.failures import Lost, Silent
from comet.client.serverurl import ServerURL


class Wire:
    """
    A connection to a server.

    @ivar wasSent: Whether anything was sent.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.wasSent = False

    def send(self, data: bytes, deadline: float) -> Steps[None]:
        """
        Send bytes.

        @raise Lost: If the connection breaks.  L{Silent} is one.
        """
        self.wasSent = True
        try:
            yield Send(self._connection, data, deadline)
        except OSError as error:
            raise self._lost(error) from error

    def receive(self, deadline: float) -> Steps[bytes]:
        """
        Wait for bytes; none once the server sends no more.

        @raise Lost: As L{send} does.
        """
        try:
            data: bytes = yield Receive(self._connection, deadline)
        except OSError as error:
            raise self._lost(error) from error
        return data

    def close(self) -> None:
        """
        Close the connection at once.
        """
        self._connection.close()

    def _lost(self, error: OSError) -> Lost:
        if isinstance(error, TimeoutError):
            return Silent("the server has sent nothing for too long", wasSent=self.wasSent)
        return Lost(f"the connection broke: {error}", wasSent=self.wasSent)


def connect(url: ServerURL, deadline: float) -> Steps[Wire]:
    """
    Connect to the server of a URL.

    @raise Lost: If there is no connection.

    @raise Untrusted: If the certificate is not valid.
    """
    try:
        connection: Connection = yield Connect(url.host, url.port, url.isSecure, deadline)
    except TimeoutError as error:
        raise Silent(f"{url.authority} does not answer", wasConnected=False) from error
    except OSError as error:
        raise Lost(f"no connection to {url.authority}: {error}", wasConnected=False) from error
    return Wire(connection)
