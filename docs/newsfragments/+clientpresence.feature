comet.js follows who is in a channel: ``comet.presence`` keeps an exact list by the channel's events.
