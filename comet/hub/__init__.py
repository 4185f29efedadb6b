"""
The one gate that every request passes, on every transport.

  - L{hubsettings}: what a hub allows
  - L{gate}: who sends a request, and what it may do
  - L{bursts}: what is published in one turn, stored together
  - L{siblings}: what a worker knows of the other workers of its server
  - L{readership}: the readers of clients: opened, counted, followed
  - L{hub}: these together, what is published, and what an application calls
"""
