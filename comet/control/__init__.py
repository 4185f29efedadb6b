"""
Orders to all nodes: what is revoked, and who is disconnected.

  - L{audience}: the readers of this node by their clients
  - L{inforce}: what is revoked, as this node knows it
  - L{endedcount}: how many readers an order has ended, on all nodes
  - L{control}: gives orders to all nodes, and obeys them
"""
