A ``MemoryClient`` of ``comet.testing`` is found by ``hub.clients``, and ended by ``hub.disconnect`` and ``hub.revoke``.
