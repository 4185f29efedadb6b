Hooks decide also which names a client may read, and where it begins.
