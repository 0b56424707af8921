"""Generated stubs: made by `make proto` from `proto/isthmus/oip`, never edited."""
