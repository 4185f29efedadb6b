"""
What can be set, and what is.

  - L{optionvalues}: what the values of options may be
  - L{options}: the one list of options, with their defaults
  - L{configuration}: what is set, by the command line, the environment, and a file
"""
