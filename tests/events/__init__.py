"""
Tests for L{comet.events}.
"""
