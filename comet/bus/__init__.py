"""
Where messages are stored, and whence listeners are told of them.

L{comet.interfaces.messagebus.IMessageBus} says what each bus promises.  No part above this
package knows which bus it uses.

  - L{idempotency}: idempotency keys: what may be stored, and what was answered
  - L{gracetimer}: when members have to leave, for a bus that keeps them in memory
  - L{historypage}: pages of the messages before a cursor, for every bus
  - L{listeners}: the listeners of a bus, and the order in which they hear
  - L{membertable}: who is in each channel, for a bus of one node
  - L{outcomes}: what became of requests that were stored in one step
  - L{readahead}: of which readers a bus reads ahead
  - L{parts}: how much is read at once by a bus that checks what its store gives back
  - L{refusals}: logs what a store was refused
  - L{starts}: resolves start positions, for every bus
  - L{resolvedstarts}: does so for a bus that lists the positions of what it holds
  - L{memory}: the bus of one process
  - L{sqlite}: the bus of one machine, in a file
  - L{redis}: the bus of several nodes
  - L{registry}: makes the bus that a URL names
"""
