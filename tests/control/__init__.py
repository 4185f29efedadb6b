"""
Tests of L{comet.control}.
"""
