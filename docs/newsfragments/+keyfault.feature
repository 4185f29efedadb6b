The error for a file of keys says which of its lines is no key.
