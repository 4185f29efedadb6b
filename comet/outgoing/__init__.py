"""
Requests that the server sends itself.

  - L{bodies}: the bodies of their answers, within bounds
"""
