"""
Tests of L{comet.web.admin}.
"""
