"""The gateway under load, beside nginx in the same run."""
