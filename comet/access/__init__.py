"""
Who may do what.

  - L{keys}: the file of the publish key, read and made
  - L{rights}: which client may read, publish and delete
"""
