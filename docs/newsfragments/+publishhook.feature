An application has a say in what clients publish, with ``hub.useHooks``: its hooks refuse or rewrite a message before it is stored, at once or later.
