"""The colours of every picture. No meaning rests on a colour alone: shape or text says the same."""

ACCENT, SECOND, ALARM, WARNING, SOFT = "#0b5563", "#7fa8b0", "#a3121f", "#c77700", "#8a97a3"
LIMIT_COLOURS = {0: ACCENT, 1: SOFT, 2: WARNING, 3: ALARM}
"""Of the lines of a Levey-Jennings chart, by their distance from the mean in SD."""
