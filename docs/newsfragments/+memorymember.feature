A ``MemoryClient`` of ``comet.testing`` is a member of the channels that it reads, where presence is kept.
