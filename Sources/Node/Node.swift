// Node: the composition of the core.
