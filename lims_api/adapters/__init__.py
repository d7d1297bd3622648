"""One file a provider: each maps a port to something outside."""
