``twistd comet --app MODULE:FUNCTION`` calls a function of the application with the server before it serves, to set its access, and to add resources and transports.
