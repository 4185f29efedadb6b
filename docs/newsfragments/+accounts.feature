A request may name an account, ``?account=NAME``: what it costs is counted apart, and told on ``$stats/NAME``.
