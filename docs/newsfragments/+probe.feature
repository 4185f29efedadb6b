A client that asks for a stream with ``?probe=1`` can see whether a proxy holds back what it is sent: the server says where the reader stands a second time, half a second after the beginning.
