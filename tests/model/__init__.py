"""
Tests of L{comet.model}.
"""
