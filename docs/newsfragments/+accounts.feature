A request may name an account, ``?account=NAME``: the server counts its cost under that name, too, and publishes it on ``$stats/NAME``.
