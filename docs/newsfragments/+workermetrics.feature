With ``--workers``, ``/metrics`` tells the figures of all workers, each with the label ``worker``, and not only those of the one that happens to answer.
