//! Plans of whole Dockerfiles.

mod manner_of;
