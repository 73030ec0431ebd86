//! A Dockerfile and options to a graph of steps with stable digests; pure.
