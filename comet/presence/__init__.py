"""
Members from readers: which clients are in which channel, as the readers of this node
say.  The bus puts together what the nodes say, and knows the members.

  - L{keptchannels}: the channels of which presence is kept
  - L{attendance}: the readers of this node, counted by client and channel
"""
