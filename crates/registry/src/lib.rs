//! The OCI distribution protocol: resolve, pull, push, mount, authentication, mirrors.
