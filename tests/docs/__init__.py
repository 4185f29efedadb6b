"""
Tests of the book: its examples, its commands, and the extensions that make its
pages.
"""
