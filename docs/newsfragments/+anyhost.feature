A request with the publish key, and one to ``/health``, may name any host, as a backend in another
container and a load balancer do; before, it was answered ``421``.
