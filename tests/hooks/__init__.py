"""
Tests of the backend's say.
"""
