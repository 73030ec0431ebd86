//! A directory to a layer and back: whiteouts, deterministic tar, compression, safe unpacking.
