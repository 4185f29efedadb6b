The server's log has the URL of the metrics where they have a port of their own, and that port says where they are to a client that asks for another path.
