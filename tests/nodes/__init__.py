"""
Tests of L{comet.nodes}.
"""
