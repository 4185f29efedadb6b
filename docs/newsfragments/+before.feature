``?before=`` and a cursor read the last messages of a channel before it, for scrolling back; in an
application ``Hub.history`` does.  A bus of one's own needs a method ``history``.
