"""What executes a segment: one engine a file, made by `factory`."""
