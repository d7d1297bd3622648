"""What the reason codes say to a manager: short texts. The reference page on reason codes has the long ones."""

GATE, RULE, MODEL, HAND, UNKNOWN = "gate", "rule", "model", "by hand", "unknown"
"""A gate is never overridden; a rule compares with limits and history; the model only adds holds."""

REASONS: dict[str, tuple[str, str]] = {
    "qc_out_of_control": (GATE, "The newest control run was rejected"),
    "qc_stale": (GATE, "The newest control is older than a day"),
    "qc_missing": (GATE, "No control was measured on this analyser"),
    "instrument_flag": (GATE, "The analyser flagged the measurement"),
    "not_final": (GATE, "The analyser marked the value as preliminary"),
    "not_numeric": (GATE, "The value is not a number"),
    "censored": (GATE, "The value lies outside what was measured (< or >)"),
    "critical_value": (GATE, "Critical value"),
    "outside_reportable_range": (GATE, "Outside the method's reportable range"),
    "identity_mismatch": (GATE, "The analyser names another person than the registration"),
    "identity_not_stated": (GATE, "The analyser named nobody"),
    "unknown_unit": (GATE, "Another unit than expected"),
    "missing_age_or_sex": (GATE, "Age or sex unknown, or no interval fits them"),
    "restricted_test": (GATE, "Restricted test"),
    "unapproved_definition": (GATE, "The test's definition is not approved"),
    "clock_offset": (GATE, "The clocks disagree"),
    "release_switched_off": (GATE, "Automatic release is switched off"),
    "no_standing_authorisation": (GATE, "No signatory's authorisation covers it"),
    "model_unusable": (GATE, "No usable model"),
    "repeat_measurement": (GATE, "Measured more than once"),
    "correction": (HAND, "A correction entered by a person"),
    "manual_entry": (HAND, "Typed by a person"),
    "outside_reference_interval": (RULE, "Outside the reference interval"),
    "delta_check": (RULE, "Differs much from the patient's last value"),
    "model_risk": (MODEL, "The model doubts the value"),
}


def text_of(code: str) -> str:
    """What a code says, or the code itself when this version does not know it."""
    return REASONS.get(code, (UNKNOWN, code))[1]


def kind_of(code: str) -> str:
    """Of which kind the code is."""
    return REASONS.get(code, (UNKNOWN, code))[0]
