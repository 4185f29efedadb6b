"""
The client for browsers, in browsers.
"""
