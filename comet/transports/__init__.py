"""
How messages reach a client over Twisted's edge: one module for each transport,
which states only what is particular to it.

The bytes come from L{comet.framing}, and L{comet.hub} has decided whether a
client may have them.

  - L{peers}: what a transport tells of its client
  - L{vanished}: have the system find out that a client has vanished
  - L{unread}: how much of a response a client has not taken
  - L{sinks}: straight to the socket, or through a transport, with backpressure
  - L{sharedtls}: TLS whose handshakes share the time of a turn
  - L{connected}: the connections of a factory, to be cut in the end
  - L{detach}: take a connection from under Twisted's HTTP
  - L{throttle}: how much input of one client is taken in one turn
  - L{partial}: a command that has half come, which has to go on
  - L{commandflow}: the order of one client's commands, and of their answers
  - L{session}: commands of one client, for the transports with two directions
  - L{clientaddress}: where a request came from
  - L{twistedrequest}: Twisted's request and response, as values
  - L{clientrequest}: one HTTP request: what it may not get wrong, and whose it is
  - L{exchange}: one HTTP request and its response, between Twisted and the hub
  - L{resource}: what all resources share: checks, methods, errors
  - L{polling}: what the transports share that answer a request once
  - L{poll}: AJAX polling
  - L{longpoll}: long polling
  - L{jsonp}: long polling through a C{script} element
  - L{streaming}: what the transports share whose response never ends
  - L{stream}: HTTP streaming
  - L{sse}: Server-Sent Events
  - L{multipart}: C{multipart/x-mixed-replace}
  - L{iframe}: the forever frame
  - L{websocketreader}: the reader of a WebSocket, and how it closes
  - L{websocketmessages}: messages from frames, by Autobahn, within bounds
  - L{websocketprotocol}: what one client of a WebSocket sends
  - L{websocketfactory}: safe values for Autobahn's options
  - L{websocket}: WebSocket
  - L{flashpolicy}: the policy file that Flash asks for
  - L{tcp}: raw TCP
  - L{maker}: transports that plugins add
  - L{call}: the resource of calls
  - L{latebatch}: a compressed batch, read in parts
  - L{channel}: the resources of channels: publish, read by any transport, delete
"""
