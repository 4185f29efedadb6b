"""
Tests of L{comet.client}.
"""
