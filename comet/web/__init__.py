"""
Which resource is at which URL, over HTTP/1.1 and HTTP/2.
"""
