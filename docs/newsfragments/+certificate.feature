``Credentials.certificate`` is the certificate that a client has shown in the TLS handshake, on raw TCP and over HTTP.
