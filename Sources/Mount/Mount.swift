// Mount: a volume as a file system, through libfuse 3's low-level interface.
//
// `VolumeMount` is the door. Requests of the kernel come in at `Session`, are answered by the extensions of `FileSystem`,
// and end in two places: the tree in the host's `Volume`, the bytes in the host's `ContentStore`. Between them stand
// `Inode`s: what the kernel knows of a file, and what programs have changed of it that is not yet a change of the volume.
//
// Locks are taken in this order, and never the other way: `Inode.writing`, the host's volume, `InodeTable`, `Inode.state`.
