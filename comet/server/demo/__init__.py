"""
What runs beside the server with C{--demo}, for its lab page.

  - L{readers}: readers over raw TCP, for pages that cannot open a socket
  - L{visits}: who looks at the page
"""
