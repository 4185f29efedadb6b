"""
Tests of L{comet.web}.
"""
