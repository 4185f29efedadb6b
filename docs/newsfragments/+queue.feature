Up to 4,096 connections may wait to be accepted, unless the endpoint names a number: after an outage
all readers come back at once.
