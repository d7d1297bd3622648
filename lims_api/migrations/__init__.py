"""Schema migrations (Alembic) and resumable back-fills."""
