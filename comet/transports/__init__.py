"""
How messages reach a client: one module for each transport.

Each says only what is particular to its transport.  The bytes come from
L{comet.framing}, and whether they may be sent was decided by L{comet.hub}.

  - L{exchange}: one request of HTTP and its response, between Twisted and the
    hub
  - L{resource}: what all resources have in common
  - L{channel}: the resource of a channel: publish, read, forget
  - L{sinks}: where bytes go: straight to the socket, or through a transport
  - L{detach}: a connection taken from under Twisted's HTTP
  - L{throttle}: how much input of one client is taken at once
  - L{polling}: what the transports share that are answered once
  - L{poll}: AJAX polling
  - L{longpoll}: long-polling
  - L{jsonp}: long-polling through a script element
  - L{streaming}: what the endless transports share
  - L{stream}: HTTP streaming
  - L{sse}: Server-Sent Events
  - L{multipart}: C{multipart/x-mixed-replace}
  - L{iframe}: the forever frame
  - L{session}: commands of one client, for the two-way transports
  - L{websocket}: WebSocket, by Autobahn
  - L{tcp}: raw TCP
  - L{flashpolicy}: the policy file that Flash asks for
"""
