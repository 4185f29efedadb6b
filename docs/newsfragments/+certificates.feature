``ssl:`` endpoints send all certificates of their file, where they sent the first one only, and read the
files again when these change, without a restart.
