"""
Tests of L{comet.framing}.
"""
