``/health/ready`` answers ``503`` with the reason ``revocations`` while it is not known what is revoked, since no token is taken then.
