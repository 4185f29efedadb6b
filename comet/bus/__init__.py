"""
Where messages are stored and handed on: one package for each kind of bus.

L{comet.interfaces.IMessageBus} says what each of them promises.  Nothing above
this package knows which of them it has.

  - L{idempotency}: the keys of publications, remembered
  - L{listeners}: who hears what is stored
  - L{starts}: where names begin, for the buses that keep the log themselves
  - L{memory}: the bus of one process
  - L{sqlite}: the bus of one machine
  - L{redis}: the bus of several nodes
  - L{registry}: which bus a URL names
"""
