A long poll that comes back with its cursor is held without a question to the bus on SQLite and Redis, too, unless its channels had messages meanwhile. Each one was a script that Redis ran.
