"""Program -> backend -> repaired and certified Solution: the protocol and registry of backends, the choice among them, paths."""
