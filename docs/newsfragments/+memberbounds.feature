All channels together have at most 1,000,000 members; a client beyond that reads, and is no member.
