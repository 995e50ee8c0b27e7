// Causality: who did what before whom.
//
// Identities (`NodeID`), names of changes (`Dot`), what has been seen (`VersionVector`), when (`Stamp`,
// `HybridLogicalClock`), and the two inputs that the core is handed instead of reading them: `Instant` and
// `SeededGenerator`.
