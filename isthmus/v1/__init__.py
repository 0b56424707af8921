"""Generated stubs: made by `make proto` from `proto/isthmus/v1`, never edited."""
