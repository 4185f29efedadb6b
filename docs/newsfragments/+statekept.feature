The SQLite and Redis buses keep what is revoked beside the log: it survives restarts, and neither retention nor eviction touches it.  While an entry of it cannot be read, tokens are ``unavailable``.
