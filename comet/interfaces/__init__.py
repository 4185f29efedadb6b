"""
What the parts of comet promise one another.  All methods are called from the reactor's
thread only.

  - L{messagebus}: what every bus promises, and those who hear what it stores
  - L{busabilities}: what a bus may be able to do besides
  - L{memberbus}: the promise of a bus that knows the members of channels
  - L{statebus}: the promise of a bus that keeps values by their keys
  - L{busmaker}: what makes the buses that C{--bus} names
  - L{sinks}: what takes the bytes for one client
  - L{sockets} B{P}: what is asked of a client's socket
  - L{receiver}: how an application reads
  - L{access}: what decides what a client may do
  - L{hooks}: what has a say in what a client does
  - L{overrides} B{P}: whether a method still speaks for others
"""
