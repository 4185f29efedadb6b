"""
HTTP as values: what a request asks for, and how its response begins.

  - L{request}: the head of a request
  - L{origins}: origins, CORS, and the names of this server
  - L{negotiation}: by which transport a request is answered
  - L{reads}: what a request to read asks for
  - L{responses}: responses, and their bytes in HTTP/1
  - L{polls}: the responses to polls
  - L{handshake}: the handshake of a WebSocket
"""
