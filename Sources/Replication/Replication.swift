// Replication: what a volume holds, and how two of them become one.
