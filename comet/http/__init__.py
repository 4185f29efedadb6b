"""
HTTP as values: what a request asks for, and how its response begins.

  - L{request}: the head of a request
  - L{pace}: how fast a request has to come
  - L{negotiation}: the transports, and which of them a request asks for
  - L{reads}: what a request to read asks for, and where it begins
  - L{responses}: responses as values
  - L{http1}: responses as the bytes of HTTP/1, and templates of them
  - L{polls}: the responses to polls
  - L{origins}: origins of pages, CORS, and the hosts of this server
  - L{spelling}: the known word that a mistyped one stands for
  - L{parameters}: the parameters of a query, and warnings about others
  - L{credentials}: what a request shows of its client
  - L{forwarded}: where a request came from, as trusted proxies tell it
  - L{outgoing}: where the backend is asked, and which headers are sent along
  - L{handshake}: the handshake of a WebSocket
  - L{deflateoffers}: how a handshake agrees on compression
  - L{contentcoding}: which responses are compressed
"""
