//! No handles here yet.

/// An owned handle of the operating system: a file descriptor on Unix, a `HANDLE` on Windows.
#[derive(Debug)]
pub struct Handle(pub(crate) std::convert::Infallible);

impl Handle {
    /// As elsewhere.
    ///
    /// # Errors
    /// None: there is no handle.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        match self.0 {}
    }
}
