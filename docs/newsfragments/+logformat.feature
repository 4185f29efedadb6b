``--log-format json`` makes each line of the log a JSON object with time, level, namespace, message and fields; the file is opened again at SIGUSR1 and SIGHUP.
