"""How a boundary tensor is put on the wire, and back: one codec a file, made by `factory`."""
