A batch of 1,000 messages of one channel takes Redis 9 ms instead of 57.
