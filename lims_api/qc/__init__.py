"""Internal quality control: materials, lots, targets, measured controls, and whether an analyte is in control."""
