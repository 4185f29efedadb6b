"""
What is written down of clients.

  - L{clientlog}: log lines that clients can cause, within bounds
  - L{accesslog}: a line for each request and reader
"""
