"""
The one gate that every request passes, on every transport.

  - L{hubsettings}: what a hub allows
  - L{gate}: who sends a request, and what it may do
  - L{requests}: requests to publish, from when they come until they are answered
  - L{waitingrequests}: requests that wait for a bus which does not answer at once
  - L{bursts}: what is published in one turn, stored together
  - L{readership}: the readers of clients: opened, counted, followed
  - L{membership}: members of channels, and events, as far as they are kept and told
  - L{siblings}: what a worker knows of the other workers of its server
  - L{hooked}: what the hooks are asked about what clients do
  - L{publishers}: what clients publish and delete
  - L{inprocess}: what an application publishes and reads
  - L{clientorders}: what an application orders about clients
  - L{hub}: these together, and the end of all
"""
