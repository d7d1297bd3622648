"""LOINC codes: the check digit; pure. No LOINC table is shipped."""

import re

_CODE = re.compile(r"(\d{1,7})-(\d)")


def is_loinc(code: str) -> bool:
    """Whether the code has LOINC's form and the check digit of its number."""
    found = _CODE.fullmatch(code)
    return found is not None and check_digit(found[1]) == int(found[2])


def check_digit(number: str) -> int:
    """Modulus 10 (Luhn) over the digits from the right, every other one doubled, as LOINC's users' guide has it."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(number))]
    return -sum(value // 10 + value % 10 for value in doubled) % 10
