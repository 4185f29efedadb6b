"""
A site in Django with comet beside it.
"""
