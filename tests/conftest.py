"""Settings that every test shares."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "relumodel", deadline=None, derandomize=True, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("relumodel")
