A response of JSON ends with a line end.
