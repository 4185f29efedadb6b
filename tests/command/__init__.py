"""
Tests of L{comet.command}.
"""
