``hub.filter`` is a function of the application's that sees each publication before it is stored, from every transport, and may refuse it or change its data.
