"""
The bus that keeps its log in a file: an SQLite database, for one machine.

L{Store<comet.bus.sqlite.store.Store>} writes and
L{LogReader<comet.bus.sqlite.reader.LogReader>} reads.  Both wait for the disk,
know nothing of Twisted, and are used from one thread each.
L{SQLiteBus<comet.bus.sqlite.bus.SQLiteBus>} puts them on such threads, so that
the reactor never waits.

  - L{errors}: which errors of SQLite say that the file cannot be used
  - L{schema}: the tables
  - L{rows}: rows of these tables as objects
  - L{lockfile}: one server a file
  - L{opening}: a file is opened, checked and repaired
  - L{idempotency}: the keys of publications, in a table
  - L{transaction}: what one transaction changes
  - L{store}: writes the log
  - L{reader}: reads the log
  - L{queue}: what waits for the thread that writes
  - L{thread}: the threads
  - L{bus}: the bus
"""
