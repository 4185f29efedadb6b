"""
Tests for L{comet.bus.sqlite}.
"""
