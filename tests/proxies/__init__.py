"""
Comet behind the proxies that the book has configurations for: the real
programs, with just those files.  A program that is missing fails its tests.
"""
