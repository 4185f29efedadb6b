"""
What the book shows and says, tried: its examples, its commands, and what its
pages are made from.
"""
