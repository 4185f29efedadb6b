``comet publish`` without a message says at a terminal that it waits for lines, and how they end.
