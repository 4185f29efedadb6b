Transports of an application's own are asked for by names of their own, ``?transport=htmx``: they are put into ``CometResource.transports``, or added by a plugin (``ITransportMaker``).
