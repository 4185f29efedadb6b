"""
Python programs that publish and read: a core that does no I/O, and shells around it.

A program imports one of the shells, which have the same methods: L{comet.client.blocking},
L{comet.client.asyncio}, L{comet.client.twisted}.

  - L{failures}: what a client can fail with
  - L{serverurl}: the URLs of a server
  - L{clientsteps}: the steps in which the core talks to the network
  - L{credential}: the key or the token
  - L{received}: what the server sends, checked
  - L{splitting}: endless responses, cut into envelopes
  - L{partsplitting}: those in parts
  - L{scriptcalls}: JSONP and the forever frame, read without running a script
  - L{standing}: where a subscription stands in the log
  - L{cursorfile}: that place, over restarts
  - L{batches}: publications as lines
  - L{requester}: requests that are repeated until they are answered
  - L{websocketlink}: messages over WebSocket
  - L{tcplink}: messages over raw TCP
  - L{links}: messages by each transport
  - L{clientreading}: one subscription, which comes back
  - L{clientcore}: all of these: a client without I/O
  - L{basesubscription}: what the subscriptions of all shells have in common
  - L{httpxfailures}: what the failures of httpx mean
  - L{httpxrequests}: requests as httpx sends them
  - L{websocketdialog}: a WebSocket without I/O, by websockets
  - L{blockingnetwork}: connections of threads
  - L{blockingtransport}: httpx over these
  - L{blockingexchanges}: the steps of the core, done by a thread
  - L{blockingsteps}: all steps of a client, in the thread of the caller
  - L{blockingsubscription}: the subscription of that shell
  - L{blocking}: the shell for scripts and threads
  - L{awaiting}: what the shells for coroutines have in common
  - L{asyncioconnections}: WebSockets and raw TCP in an event loop
  - L{asyncioexchanges}: the steps of the core, done by httpx and websockets in an event loop
  - L{asyncio}: the shell for asyncio
  - L{twistedwaiting}: waits for Deferreds, with a limit
  - L{twistedconnections}: connections of Twisted, watched
  - L{twistedraw}: a connection of raw TCP
  - L{twistedsocket}: a WebSocket, by Autobahn
  - L{twistedexchanges}: the steps of the core, done by treq and Autobahn
  - L{twisted}: the shell for Twisted
"""
