// Simulator: the core of many nodes under virtual time, network, disks and clocks, all decided by one seed.
//
// `Simulation.run` takes a seed and gives a report. Inside, `World` owns the virtual time and the queue of what happens
// next; a `Host` is one machine: a disk, a wall clock, and while it is up a `Node`, the very core that the daemon runs.
// The host does what the daemon does around the core: local operations, capture, contents, durability. `FaultPlan`
// decides what goes wrong and when, `Habits` what programs do. `Ledger` knows every change that was ever made, and the
// checkers compare each node with it: while the simulation runs, and after everything has healed.
