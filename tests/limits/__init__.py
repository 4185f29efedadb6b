"""
Tests of L{comet.limits}.
"""
