"""
Tests for L{comet.bus.redis}.
"""
