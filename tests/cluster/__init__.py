"""
Tests of several nodes that share a bus, behind a proxy that sends each request
to the next node; and of several workers on one port.
"""
