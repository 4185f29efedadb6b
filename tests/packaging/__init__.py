"""
Tests of the installed wheel, from outside, with clients that use no code of comet's.
"""
