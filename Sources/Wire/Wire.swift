// Wire: values to bytes and back, bounded and checked.
//
// Every message of the mesh and every record on disk is written with `ByteWriter` and read with `ByteReader`. The
// encoding is canonical: equal values are equal bytes, which the deterministic core and its traces rest on. Readers
// ignore what stands behind the fields they know, so a later protocol may append fields.
