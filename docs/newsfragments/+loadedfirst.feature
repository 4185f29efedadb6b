A server that starts accepts connections once it knows which tokens are revoked, or after five seconds.
