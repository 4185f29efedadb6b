"""
HTTP as values: what a request asks for and how its response begins.
"""
