"""
What an admin sees of all nodes.

  - L{nodemessages}: what nodes ask one another, and their answers, as messages
  - L{figures}: the figures of one node
  - L{survey}: what one node finds out about itself
  - L{asking}: asks all nodes, and answers the others
"""
