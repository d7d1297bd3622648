"""Telling patients and doctors: what is sent, through whom, and what became of it. The port so far."""
