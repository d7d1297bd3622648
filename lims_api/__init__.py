"""The operational system: API, worker and operator commands."""
