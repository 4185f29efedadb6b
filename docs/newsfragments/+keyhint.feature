A command that a server refuses, and that was given no key or token, says which options give one.
