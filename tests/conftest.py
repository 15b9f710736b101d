"""What every test run shares: how far hypothesis looks. Streams to test with come from `tests.corpus`."""

import os

from hypothesis import HealthCheck, settings

# Derandomised: whether a run passes depends on the code, not on luck. HYPOTHESIS_PROFILE=fuzz looks further.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "fuzz", deadline=None, max_examples=5_000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
