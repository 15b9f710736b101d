"""The lines that wait, and the ones that read the clock. Everything below is told the time."""
