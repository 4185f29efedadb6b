"""
The backend has a say: comet asks it by signed requests.  So has an application, whose
L{hooks<comet.interfaces.hooks.IHooks>} are asked in the same places.

  - L{hooksettings}: where the backend is, and what it is asked
  - L{secretfile}: the file of the secrets that sign requests
  - L{signing}: the headers of a signed request, as in Standard Webhooks
  - L{verdicts}: reading what the backend answered
  - L{places}: how much may wait of each client
  - L{roundrobin}: each client in turn
  - L{hookcounts}: counts of what was asked
  - L{sender}: sending one request
  - L{hookclients}: clients of which the backend has told, or is to tell
  - L{rememberedanswers}: what the backend has answered, for a while
  - L{connect}: which client sends a request
  - L{webhooks}: what clients do is decided by the backend
  - L{hooktable}: which channels are asked about
  - L{questions}: asking, and waiting for the answer for some time
  - L{lanes}: the order of what waits
  - L{publicationparts}: a publication in parts, one for each of its channels
  - L{answeredkeys}: the idempotency keys of messages that are asked about
  - L{publishhook}: asking before messages are stored
  - L{allowednames}: what clients may read without being asked about again
  - L{subscribehook}: asking before names are read
  - L{callhook}: what answers calls
  - L{hookgate}: what the hub asks
"""
