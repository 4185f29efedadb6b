"""
What is counted.

  - L{traffic}: requests, heads and data on each transport
  - L{tally} B{P}: messages and readers, and how long things take
"""
