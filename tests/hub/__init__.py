"""
Tests of L{comet.hub}.
"""
