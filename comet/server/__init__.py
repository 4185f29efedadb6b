"""
The server that C{twistd comet} starts.
"""
