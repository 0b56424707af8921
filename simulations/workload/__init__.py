"""What clients ask of a system: when requests come, and how large they are. Pure and seeded; one source for the
simulator and for load on a live system."""
