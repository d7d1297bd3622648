"""Results: from the analyser's message through gates, rules and model to authorisation and correction."""
