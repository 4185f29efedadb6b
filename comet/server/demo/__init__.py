"""
The readers over raw TCP that the server runs with C{--demo}, for its lab page.

  - L{readers}: one reader, and its reports to the page
  - L{visits}: the visits of the page, each with its reader
  - L{pair}: connections within the process, for which no port listens
"""
