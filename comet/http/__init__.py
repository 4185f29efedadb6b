"""
HTTP as values: what a request asks for, and how its response begins.

  - L{request}: the head of a request
  - L{origins}: origins, CORS, and the names of this server
  - L{negotiation}: by which transport a request is answered
  - L{reads}: what a request to read asks for
  - L{responses}: heads and bodies of responses
  - L{handshake}: the handshake of a WebSocket
"""
