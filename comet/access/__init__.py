"""
The rights of clients.

  - L{keys}: the file of the publish key
  - L{rights}: which client may read, publish and delete
  - L{lookups}: finding out which client asks, now or later
"""
