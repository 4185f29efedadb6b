"""
Tests of L{comet.interfaces}.
"""
