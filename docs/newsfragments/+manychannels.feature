To publish to a channel for the first time costs the lean edge a third less: of requests that differ only in the channel, all else is checked once.
