When the time of a token is over, or a new one permits less, only the names that are permitted no longer end (``ended``); a connection is closed when none is left.
