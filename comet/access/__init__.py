"""
Who may do what.

  - L{keys} reads and makes the file of the publish key.
  - L{rights} decides which client may read, publish and delete.
"""
