"""
Tests for L{comet.bus}.
"""
