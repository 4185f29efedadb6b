"""
Tests for L{comet.presence}.
"""
