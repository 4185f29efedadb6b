To catch up with 50,000 channels by ``**`` on SQLite takes half a second of processor time instead of nearly two. Each page looked at the rows of all channels.
