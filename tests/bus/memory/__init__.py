"""
Tests of L{comet.bus.memory}.
"""
