"""
Tests of L{comet.http}.
"""
