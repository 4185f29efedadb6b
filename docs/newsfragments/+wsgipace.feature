With ``--wsgi``, a client that takes its response slowly no longer holds a thread: what it has not taken is kept, within bounds.
