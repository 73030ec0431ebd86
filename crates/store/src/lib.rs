//! Blobs, layers, records, cache mounts and locks in one directory shared by many processes.
