//! Runs one process over a root file system: namespaces, mounts, seccomp, capabilities.
