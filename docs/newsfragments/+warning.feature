A response to a request with a parameter that is nearly a known one, such as ``transprot``, has a header
``Comet-Warning`` that says which is meant.
