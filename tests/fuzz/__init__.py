"""
Fuzzing: bytes that no client should send, against every parser and a live server
of each edge.

C{python -m tests.fuzz} runs it for a minute, or for as long as C{--minutes} says;
the tests run a part of that minute.

  - L{corpus}: what well-behaved clients send
  - L{mutating}: makes other bytes of it
  - L{findings}: what must not be
  - L{memory}: a server in memory
  - L{parsers}: the parsers, and what they may raise
  - L{parsing}: gives them what Hypothesis makes
  - L{guided}: gives them what atheris makes, guided by the lines that it reaches
  - L{asking}: sends bytes to a server, and reads what comes back
  - L{comparing}: what the edges have to agree on
  - L{serving}: a live server, and what is left in it
  - L{run}: a run against live servers: both edges are asked the same
  - C{counting}: counts objects within a server

A finding is an exception that a parser may not raise, a traceback in a server's
log, a difference between the edges, a bystander that had to wait, or anything that
is left once all clients are gone.
"""
