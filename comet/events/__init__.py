"""
What happens to channels, told after the fact on the reserved channel C{$events}, and sent
to the backend.

  - L{occupancy}: whether a channel has readers, on all nodes
  - L{relay}: what is told of members, told as events
  - L{closings}: which readers are closed, and why
  - L{teller}: all of it together
  - L{lease}: one node at a time does some work, from a cursor kept in the bus
  - L{follower}: the work: reading channels from that cursor
  - L{eventsender}: sending what was read to the backend
"""
