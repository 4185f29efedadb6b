"""
Values and rules of the log: no input, no output, no Twisted.
"""
