"""
What only the admin may do and see, below C{/admin/}.

  - L{guard}: resources that need the admin key
  - L{revoking}: what is revoked, and who is disconnected
  - L{watching}: nodes, channels and clients
  - L{changing}: what a channel holds
  - L{tree}: which resource is at which URL
"""
