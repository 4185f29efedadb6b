``--access-log FILE`` writes a JSON object for each request, and for each stream and connection when it ends; the file is opened again at SIGUSR1 and SIGHUP.
