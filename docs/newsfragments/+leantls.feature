On Linux ``ssl:`` endpoints are served by the lean edge, HTTP and raw TCP: a delivery takes half of the CPU or
less, a new connection half, and a reader half of the memory.  Raw TCP serves clients that offer protocols by
ALPN, too, which it refused.
