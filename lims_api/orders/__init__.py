"""Orders: the request for tests, and when it is due."""
