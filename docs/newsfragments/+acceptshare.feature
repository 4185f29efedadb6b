With ``--workers``, workers have equal shares of the clients within a few percent, also where clients come one by one: a worker that has more than its share lets the others accept first.
