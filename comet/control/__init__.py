"""
Orders to all nodes: what is revoked, and who is disconnected.

  - L{audience}: the readers of this node by their clients
  - L{control}: gives orders to all nodes, and obeys them
"""
