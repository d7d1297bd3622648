"""What dbt's cross-database macros stand for when sqlfluff reads the models; dbt itself never reads this file."""


def type_string() -> str:
    return "text"


def type_int() -> str:
    return "integer"


def type_boolean() -> str:
    return "boolean"


def hash(expression: str) -> str:
    return f"md5({expression})"


def datediff(earlier: str, later: str, part: str) -> str:
    return f"extract({part} from {later} - {earlier})"
