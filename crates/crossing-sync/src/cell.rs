//! Cells: what lies in shared memory; handles: how a process uses it.
#![allow(unsafe_code)] // the trait's contract; references into mapped memory

use crate::participant::Participant;
use std::ptr::NonNull;
use std::sync::Arc;

/// Something with a fixed layout in shared memory, and the handle by which a process uses it.
///
/// # Safety
/// An implementing type must be `repr(C)` or `repr(transparent)`, consist of atomics and of plain data inside
/// `UnsafeCell`, be valid for every byte pattern, and mean "new" when all its bytes are zero.
pub unsafe trait SharedCell: Sized {
    /// The handle of this process.
    type Handle;

    /// A handle for the cell at `cell`.
    ///
    /// # Safety
    /// `cell` must be mapped, writable and aligned for as long as `participant` lives, in memory whose participants are
    /// those of `participant`'s table, and hold nothing but a cell of this type.
    unsafe fn attach(participant: Arc<Participant>, cell: NonNull<Self>) -> Self::Handle;
}

/// A cell and the participant that keeps it mapped.
pub(crate) struct Attached<C> {
    pub(crate) me: Arc<Participant>,
    cell: NonNull<C>,
}

// SAFETY: cells are atomics, and data that the handles only touch under the protocol; they may be used by any thread.
unsafe impl<C: SharedCell> Send for Attached<C> {}
// SAFETY: as above.
unsafe impl<C: SharedCell> Sync for Attached<C> {}

impl<C> Attached<C> {
    /// # Safety
    /// As [`SharedCell::attach`].
    pub(crate) unsafe fn new(me: Arc<Participant>, cell: NonNull<C>) -> Self {
        Self { me, cell }
    }

    #[inline]
    pub(crate) fn cell(&self) -> &C {
        // SAFETY: mapped and aligned while `me` lives, by the contract of `new`; a cell is sound to share by reference.
        unsafe { self.cell.as_ref() }
    }
}

impl<C> Clone for Attached<C> {
    fn clone(&self) -> Self {
        Self { me: self.me.clone(), cell: self.cell }
    }
}
