"""FHIR R4 in the shape of India's profiles (NRCES, `ndhm.in`): a laboratory report as a document bundle."""
