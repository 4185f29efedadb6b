"""
The rights of clients.

  - L{keys}: the files of the publish key and the admin key
  - L{jwtform}: the form of a token
  - L{accesssettings}: what the access object is told by the configuration
  - L{claims}: what a token says of its client
  - L{tokenkeys}: the keys that verify tokens
  - L{jwks}: keys that an issuer serves
  - L{tokens}: clients by their tokens
  - L{maketoken}: a token, made with the key that signs it
  - L{rememberedtokens}: what tokens mean that were verified already
  - L{revocations}: which tokens are revoked
  - L{keptrevocations}: what is revoked on all nodes, as the bus keeps it
  - L{rights}: which client may read, publish and delete
  - L{granted}: what a token or the backend grants
  - L{lookups}: finding out which client asks, now or later
  - L{leases}: readers of clients that are known for a time
"""
