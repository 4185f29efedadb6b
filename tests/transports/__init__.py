"""
Tests of the transports: literal bytes in, literal bytes out, no sockets but in
the tests of the sinks.
"""
