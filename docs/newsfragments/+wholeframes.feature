A command by WebSocket costs a third less: a frame that comes whole and alone is read at once.
