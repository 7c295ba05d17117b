"""The command line: each command parses, calls one recipe, prints."""
