"""What a user installs: the wheel, in an environment without a checkout, and the units that run it."""
