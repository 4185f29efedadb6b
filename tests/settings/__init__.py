"""
Tests of L{comet.settings}.
"""
