``token`` of comet.js may be a function: the client asks it for another token before the present one expires and after the server refused it, and goes on without losing or repeating a message.
