"""
The client for browsers, without one.
"""
