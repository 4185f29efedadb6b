The chat page shows who is in a room, and who comes and leaves; with ``--demo`` presence is kept of ``chat/**``, and visitors are known by the name that they type.
