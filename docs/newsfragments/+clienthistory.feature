The Python clients have ``history(channel, before, limit=50)``, which reads what was before a cursor, and ``call(method, data)``, which calls a method of the backend once.
