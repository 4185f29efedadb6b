The access log has a line for a request that is refused before all of it has come (400, 413, 414, 431).
