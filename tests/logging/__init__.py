"""
Tests of L{comet.logging}.
"""
