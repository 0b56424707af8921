"""A recorded run of a live edge, run again on a simulated clock: under its own policy, and under others."""
