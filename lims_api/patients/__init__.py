"""Patients: identity, the laboratory's own number (UHID), and how they are found while sealed."""
