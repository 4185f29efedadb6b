``comet.testing`` has ``MemoryServer`` and stand-ins for the blocking, asyncio and Twisted clients, for tests of programs that use ``comet.client``: no socket, the same methods, results and errors.
