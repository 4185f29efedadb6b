"""
Tests of L{comet.access}.
"""
