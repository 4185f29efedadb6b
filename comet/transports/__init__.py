"""
How messages reach a client: one module for each transport.

Each says only what is particular to its transport.  The bytes come from
L{comet.framing}, and whether they may be sent was decided by L{comet.hub}.
"""
