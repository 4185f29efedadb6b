A client calls the backend, or the application, through comet: by the command ``call``, or with ``POST /call/`` and a method.
