"""
Tests of HTTP/2: frames in, frames out, in memory.
"""
