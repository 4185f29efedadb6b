``/health/ready`` says why the server is not ready, and ``/health/live`` whether it runs.
