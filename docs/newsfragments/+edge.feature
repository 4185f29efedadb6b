On Linux, clients of plain TCP are served by the lean edge: an ``epoll`` of their own, half of the
memory of a connection of Twisted's or less, and one loop in C for all readers of a channel.
``--edge twisted`` serves them as everything else is served.
