//! No handles here yet.

/// An owned handle of the operating system: a file descriptor on Unix, a `HANDLE` on Windows.
#[derive(Debug)]
pub struct Handle(pub(crate) std::convert::Infallible);
