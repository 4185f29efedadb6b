A client that asks for a stream with ``?probe=1`` can see whether a proxy holds back bytes: the server sends the position of the reader a second time, half a second after the beginning.
