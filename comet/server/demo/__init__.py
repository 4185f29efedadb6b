"""
What the server does with C{--demo} for its pages: readers over raw TCP for the lab, and
names for the visitors of the chat.

  - L{readers}: one reader, and its reports to the page
  - L{visits}: the visits of the page, each with its reader
  - L{visitors}: the names of the chat's visitors
  - L{pair}: connections within the process, for which no port listens
"""
