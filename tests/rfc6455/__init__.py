"""
The rules of RFC 6455, case by case, against an echo made of comet's WebSocket
classes on both edges.

  - L{wire}: frames and messages as a client sends them, and what it gets
  - L{utf8}: texts that are UTF-8, and bytes that are not
  - L{cases}: the table of cases
  - L{compression}: the table of cases with compression
  - L{echo}: the echo on each edge, and a client that plays a case
"""
