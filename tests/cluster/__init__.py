"""
Several nodes that share a bus, behind a proxy that sends each request to the
next of them; and several workers on one port.
"""
