"""
The suite over real sockets: C{twistd -n comet} as a process of its own, and
clients that share no code with it.
"""
