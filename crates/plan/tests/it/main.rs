//! Plans of whole Dockerfiles.

mod limits;
mod manner_of;
mod platforms;
