"""
The command C{comet}, for people: read, publish and watch a server; check a configuration; make
and judge tokens.

A command prints its result to the standard output, and what it has to say besides to the
standard error.  Its exit code is one of L{codes<comet.command.codes>}.

  - L{codes}: the exit codes
  - L{console}: what is printed, in colours where there is a terminal
  - L{tomllines}: on which line of a TOML file a key is
  - L{tomlvalues}: values as TOML
  - L{examining}: all mistakes of a configuration file, and what holds
  - L{givencredentials}: the key or token that a command is given
  - L{checkcommand}: C{comet check}
  - L{tokencommands}: C{comet token}
  - L{numberranges}: numbers that options take
  - L{serveroptions}: how the commands that talk to a server reach it
  - L{inputlines}: lines of the standard input, as they come
  - L{stopping}: signals that wait until a piece of work is done
  - L{tailcommand}: C{comet tail}
  - L{publishcommand}: C{comet publish}
  - L{presencecommand}: C{comet presence}
  - L{topcommand}: C{comet top}
  - L{latencies}: how long things took
  - L{marks}: what the messages of a measurement are known by
  - L{benchsockets}: the connections of a measurement
  - L{benchrun}: one measurement
  - L{benchcommand}: C{comet bench}
  - L{completion}: C{comet completion}
  - L{program}: the whole of the command
  - L{entry}: where it begins, also without the packages that it needs
"""
