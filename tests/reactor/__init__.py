"""
Tests of L{comet.reactor}.
"""
