"""The app's documents by noun: each built in bulk by one statement, as JSON texts, for rows of given ids."""
