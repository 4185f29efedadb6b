A publication may spare its own client's readers: ``?reader=`` and ``Comet-Exclude`` with an id, or ``reader`` and ``exclude`` in commands.
