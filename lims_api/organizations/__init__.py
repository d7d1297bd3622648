"""Tenants (a chain or a single laboratory) and their sites: laboratories and collection centres."""
