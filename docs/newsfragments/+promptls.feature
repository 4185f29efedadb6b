Through TLS, a message is encrypted and sent to each reader at once, in one record and with no timer for each reader.
