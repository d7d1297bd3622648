"""Reports: laid out, rendered, sealed, released, amended."""
