A function that gives a Python client its token is asked for the next one before the present one expires, as in comet.js, and open streams come back with it.
