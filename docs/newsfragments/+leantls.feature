On Linux ``ssl:`` endpoints of HTTP are served by the lean edge: a delivery takes half of the CPU or less, a
new connection half, and a reader half of the memory.
