"""
The reactor: its thread, its time, its turns, and who gets how much of them.

  - L{threads}: the one thread in which the hub may be called
  - L{deferreds}: waiting for several Deferreds
  - L{clocks}: a clock that goes on when that of the system is set
  - L{timers}: one timer for every heartbeat, hold and expiry
  - L{deadlines}: results that have to come within a time
  - L{fairqueue} B{P}: a queue in which no client waits for all that another one brings
  - L{turns}: shares of time: a little of each client's work in every turn
  - L{clientpace}: which clients ask for little
  - L{waitingevents}: events of an C{epoll} for which there is no time yet
  - L{plainsockets}: sending past a transport of Twisted's
  - L{returning}: connections that a reactor may serve behind others
  - L{crowdreactor}: a reactor that serves those who are there first
"""
