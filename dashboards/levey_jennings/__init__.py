"""The Levey-Jennings chart: what it shows (`plan`), in the browser (`screen`), on paper (`printed`)."""
