"""Who is let in, in which order, and who goes first when there are too many: pure, for edges and the simulator."""
