"""
Tests of L{comet.lean}.
"""
