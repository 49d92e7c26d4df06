//! Owned handles of the operating system, and who may use what they name.

pub use crate::os::file::Handle;

/// Who may open a named resource. Applied to everything that a name comprises.
///
/// # Platform-specific behavior
/// Unix: file modes 0600, 0660, 0666 (directories 0700, 0750, 0755); Windows: security descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Only the user who creates it.
    #[default]
    Private,
    /// The creator's primary group too.
    Group,
    /// Everybody on this machine.
    World,
}
