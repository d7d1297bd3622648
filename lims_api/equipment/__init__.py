"""Analysers and the codes they send."""
