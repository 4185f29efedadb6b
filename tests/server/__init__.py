"""
Tests of L{comet.server}.
"""
