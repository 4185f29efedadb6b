"""
Tests of the client for browsers in real browsers.
"""
