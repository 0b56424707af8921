"""The link emulator, and the simulation of fleets with the scheduler's own policy objects."""
