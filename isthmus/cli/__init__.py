"""The command line: one file a group of commands. Importing it loads neither torch, ray nor grpc."""
