``?before=`` and a cursor read the last messages of a channel before it, for scrolling back;
``comet.history`` of the client does, and in an application ``Hub.history``.  A bus of one's own needs a
method ``history``.
