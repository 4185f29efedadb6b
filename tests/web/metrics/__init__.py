"""
Tests of L{comet.web.metrics}.
"""
