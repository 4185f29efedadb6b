"""
For the tests of an application: what every bus promises, as a suite that a bus of
one's own passes.

A bus is tested by a class that mixes L{BusContract<comet.testing.contract.BusContract>}
into trial's C{TestCase}, and has the maker and the hooks of
L{BusCase<comet.testing.case.BusCase>}.  Several nodes with one bus add
L{shared}, and a bus that stores bursts L{bursting}.

  - L{case}: the base of the suite: makers, hooks, and short words
  - L{storing}: what is published is stored
  - L{keyed}: idempotency keys
  - L{reading}: the log is read in order
  - L{gaps}: what is lost is told
  - L{scrolling}: what was before a cursor
  - L{resolving}: where names begin
  - L{hearing}: what listeners hear
  - L{contract}: all of these
  - L{shared}: several buses on one store
  - L{bursting}: many requests stored at once
"""
