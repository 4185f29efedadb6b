"""
Tests of L{comet.metrics}.
"""
