"""
The bus of one machine: its log is in a file, an SQLite database.

L{Store<comet.bus.sqlite.store.Store>} writes and
L{LogReader<comet.bus.sqlite.reader.LogReader>} reads.  Both wait for the disk,
know nothing of Twisted, and are used from one thread each.
L{SQLiteBus<comet.bus.sqlite.bus.SQLiteBus>} puts them on such threads, so that
the reactor never waits for a write to the disk, and for reads at most a moment in a turn.

  - L{errors}: what the errors of SQLite mean to operators and clients
  - L{files}: notices that a file was taken from under SQLite
  - L{schema}: the tables, and their upgrade from older versions
  - L{rows}: rows of these tables as objects
  - L{manyrows}: many messages in few steps of a statement
  - L{packedrows}: many rows read by one step of a statement
  - L{readrows}: fetches rows of channels and messages so
  - L{memberrows}: who is in each channel, in a table
  - L{lockfile}: keeps other servers away from the file
  - L{opening}: opens and checks the file, and decides whether the epoch goes on
  - L{idempotency}: idempotency keys in a table
  - L{statetable}: what is kept beside the log
  - L{transaction}: what one transaction changes
  - L{store}: writes the log
  - L{memberstore}: who is in each channel, in memory and in that table
  - L{snapshot}: the log at one moment, for one question, in short steps
  - L{holdings}: finds where names begin, and what they have lost
  - L{pagereader}: reads the messages of names
  - L{reader}: reads the log
  - L{queue}: what waits for the thread that writes
  - L{thread}: the threads, for which the reactor waits for a moment
  - L{steps}: what waits for the thread that reads
  - L{underway}: the work after which the bus stops
  - L{writing}: hands the writes to their thread
  - L{questioner}: hands questions to the thread that reads
  - L{lifetime}: opens and closes the database, in its threads
  - L{busmembers}: who is in each channel, and when each leaves
  - L{sweeper}: drops old messages from time to time
  - L{bus}: the bus
"""
