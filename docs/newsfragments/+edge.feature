On Linux, the lean edge serves clients of plain TCP: they are in an ``epoll`` of their own, take half
of the memory of a connection of Twisted's or less, and all readers of a channel are written to in
one loop in C.  ``--edge twisted`` turns it off.
