"""Tests and their definitions in versions: LOINC, UCUM, ranges by age and sex, limits; each row with its approver."""
