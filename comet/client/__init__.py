"""
Python programs that publish and read: a core that does no I/O, and shells around it.

A program imports one of the shells, which have the same methods: L{comet.client.blocking},
L{comet.client.asyncio}, L{comet.client.twisted}.

  - L{failures}: what a client can fail with
  - L{clientsteps}: the steps in which the core talks to the network
  - L{serverurl}: the URLs of a server
  - L{credential}: the key or the token
  - L{received}: what the server sends, checked
  - L{splitting}: endless responses, cut into envelopes
  - L{standing}: where a subscription stands in the log
  - L{cursorfile}: that place, over restarts
  - L{batches}: publications as lines
  - L{wire}: one connection
  - L{httpexchange}: a request and its response
  - L{requester}: requests that are repeated until they are answered
  - L{websocketlink}: messages over WebSocket
  - L{links}: messages by each transport
  - L{clientreading}: one subscription, which comes back
  - L{clientcore}: all of these: a client without I/O
  - L{basesubscription}: what the subscriptions of all shells have in common
  - L{blocking}: the shell for scripts and threads
  - L{awaiting}: what the shells for coroutines have in common
  - L{asyncio}: the shell for asyncio
  - L{twisted}: the shell for Twisted
"""
