``--idle-timeout`` says after how many seconds without a request an HTTP connection is closed.  The
default is 75, longer than the 60 after which common load balancers close theirs.
