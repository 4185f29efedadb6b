"""
The tests of comet, mirrored one to one: what L{comet.framing.sse} promises is
in C{tests/framing/test_sse.py}.  Run them with C{trial tests}.
"""
