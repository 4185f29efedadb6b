Options can be set in the environment: ``COMET_HISTORY_SECONDS=60``, and so on. The command line takes precedence over it, and it over the file.
