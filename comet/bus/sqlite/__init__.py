"""
The bus that keeps its log in a file: an SQLite database, for one machine.

L{Store<comet.bus.sqlite.store.Store>} writes and
L{LogReader<comet.bus.sqlite.reader.LogReader>} reads; both wait for the disk,
know nothing of Twisted, and are used from one thread each.
L{SQLiteBus<comet.bus.sqlite.bus.SQLiteBus>} puts them on such threads, so that
the reactor never waits.
"""
