"""Who may do what: users, roles as data, sessions of people and API keys of machines."""
