"""The link emulator, and later the simulation of fleets with the scheduler's own policy objects."""
