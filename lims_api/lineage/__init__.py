"""Where a result came from and where it went: every link from an analyser's bytes to a report and a mart row."""
