Nodes that share a Redis compare their ``--history-…`` and other common options, and warn of a difference on both sides; a new epoch in Redis is a warning with its reason.
