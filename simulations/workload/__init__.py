"""What clients ask of a system: when requests come, how large they are, and what was logged of them. Pure and seeded;
one source for the simulator and for load on a live system."""
