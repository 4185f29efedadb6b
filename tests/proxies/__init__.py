"""
Tests of comet behind the proxies for which the book has configurations: the real
programs, with exactly these files.  A missing program fails its tests.
"""
