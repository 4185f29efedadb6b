"""
What h2 keeps of a connection, bounded: the states of its streams and its windows.
"""

from __future__ import annotations

from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hyperframe.frame import WindowUpdateFrame

from comet.web.http2.fields import FieldDecoder
from comet.web.http2.frames import PREFACE

# RFC 9113 5.1.2: streams that may be open at once.
MAX_STREAMS: Final = 100

# RFC 9113 6.5.2: bytes of the table with which the fields of responses are
# compressed.
MAX_TABLE: Final = 4096


class ConnectionStates(H2Connection):
    """
    The states of a connection and of its streams.

    @ivar fields: The decoder, which keeps the fields from h2.
    """

    # Closed streams of which h2 knows how they ended: it tells late frames for
    # them from a fault of the client.  A client has no more late ones than it may
    # have open, and reset in a burst; h2's own bound takes 7.5 MiB.
    MAX_CLOSED_STREAMS = 1000

    def __init__(self, mostFields: int) -> None:
        """
        @param mostFields: How many bytes the fields of one block may have, as
            the settings tell the client.
        """
        super().__init__(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                # The decoder keeps the fields from h2.
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                # h2 would find a bad header when it has encoded others.
                validate_outbound_headers=False,
            )
        )
        self._mostFields = mostFields
        # A larger head gets an error as response.  It must be decoded for that,
        # so it may not be of any size.
        self.decoder = self.fields = FieldDecoder(2 * mostFields)
        # Frames that h2 does not make.
        self._extra = bytearray()

    def begin(self) -> None:
        """
        Make the server's preface, and await the client's frames.
        """
        self.local_settings = self._settings(MAX_STREAMS)
        self.initiate_connection()
        # h2 would end the connection over a stream too many.  The receiver counts
        # the streams instead.
        self.local_settings = self._settings(2**31 - 1)
        # The client's frames come without it.
        self.receive_data(PREFACE)

    def _settings(self, streams: int) -> Settings:
        values = {
            SettingCodes.MAX_CONCURRENT_STREAMS: streams,
            SettingCodes.MAX_HEADER_LIST_SIZE: self._mostFields,
        }
        return Settings(client=False, initial_values=values)

    def giveBack(self, size: int) -> None:
        """
        Open the window of the connection again for DATA that h2 does not get.

        @param size: How many bytes the DATA had.
        """
        # RFC 9113 6.9: DATA counts also where it is in error.
        self._extra += WindowUpdateFrame(0, window_increment=size).serialize()

    def discard(self) -> None:
        """
        Keep nothing any more: the connection is over, and its owner asks no more.
        """
        # h2 keeps methods of its own object in it, by the kinds of frames.  The object
        # with all its tables would stay until the garbage collector finds it, which may
        # be never.
        vars(self).clear()

    def takeFrames(self) -> bytes:
        """
        Return the frames that are made since the last call.
        """
        data = self.data_to_send()
        if self._extra:
            data += bytes(self._extra)
            self._extra.clear()
        return data

    def boundTable(self) -> None:
        """
        Bound what the client can have the encoder keep, after it has changed its
        settings.
        """
        # RFC 7541 4.2: the table may be smaller than the client allows, and
        # only the smallest and the last of several changes are sent.
        encoder = self.encoder
        if encoder.header_table_size > MAX_TABLE:
            encoder.header_table_size = MAX_TABLE
        changes = [min(size, MAX_TABLE) for size in encoder.table_size_changes]
        encoder.table_size_changes = [min(changes), changes[-1]] if changes else []
