A long poll that comes back with the cursor of its last answer is held without reading the log, though other channels had messages meanwhile.
