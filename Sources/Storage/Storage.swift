// Storage: what outlives the process.
//
// A data directory holds the node's own records and, for each volume, its records (a key-value table in SQLite) and its
// contents: one sparse backing file for each file, kept bytes of conflicts by hash, and staged bytes of transfers.
