Up to 4,096 connections may wait to be accepted, where an endpoint does not say how many: readers
come back all at once when a server was away.
