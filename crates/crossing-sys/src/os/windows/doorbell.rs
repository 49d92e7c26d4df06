//! An auto-reset event that everybody finds by its name, and a timer of the thread pool that sets it.
#![allow(unsafe_code)] // events, timers, a callback

use super::security::Descriptor;
use super::text::wide;
use crate::doorbell::Porch;
use crate::file::Handle;
use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, FILETIME, GetLastError, HANDLE, SetLastError, WAIT_FAILED, WAIT_OBJECT_0,
    WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Threading::{
    CloseThreadpoolTimer, CreateEventW, CreateThreadpoolTimer, EVENT_MODIFY_STATE, INFINITE, OpenEventW,
    PTP_CALLBACK_INSTANCE, PTP_TIMER, ResetEvent, SetEvent, SetThreadpoolTimer, WaitForMultipleObjects,
    WaitForThreadpoolTimerCallbacks,
};

pub(crate) const SUPPORTED: bool = true;

#[derive(Debug)]
pub(crate) struct Bell {
    /// Closed before the event.
    timer: Timer,
    event: Handle,
}

#[derive(Debug)]
struct Timer(PTP_TIMER);

// SAFETY: the pool's functions may be called from any thread.
unsafe impl Send for Timer {}
// SAFETY: as above.
unsafe impl Sync for Timer {}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: a timer that is closed below. Null: it is cancelled.
        unsafe { SetThreadpoolTimer(self.0, std::ptr::null(), 0, 0) };
        // SAFETY: as above. After this no callback uses the event.
        unsafe { WaitForThreadpoolTimerCallbacks(self.0, 1) };
        // SAFETY: nobody uses it any more.
        unsafe { CloseThreadpoolTimer(self.0) };
    }
}

/// Sets the event whose handle is `event`.
unsafe extern "system" fn expired(_: PTP_CALLBACK_INSTANCE, event: *mut c_void, _: PTP_TIMER) {
    // SAFETY: the event outlives the timer (`Bell` drops the timer first, which waits for this).
    unsafe { SetEvent(event) };
}

fn name(porch: &Porch, owner: u32, number: u32) -> io::Result<Vec<u16>> {
    wide(format!("Global\\crossing-{}", porch.name(owner, number)))
}

impl Bell {
    pub(crate) fn hang(porch: &Porch, owner: u32, number: u32) -> io::Result<Self> {
        let (name, descriptor) = (name(porch, owner, number)?, Descriptor::for_access(porch.access)?);
        // SAFETY: no pointers; an error of earlier calls must not be taken for this one's.
        unsafe { SetLastError(0) };
        // SAFETY: a string that ends in 0; the descriptor lives through the call.
        let event = unsafe { CreateEventW(descriptor.attributes(), 0, 0, name.as_ptr()) };
        // SAFETY: no arguments.
        let code = unsafe { GetLastError() };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: made just now, owned by nobody else.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        // Only its owner hangs one of this name: who made it before may have any rights on it.
        if code == ERROR_ALREADY_EXISTS {
            return Err(io::Error::from_raw_os_error(code as i32));
        }
        // SAFETY: the callback takes the event's handle, which outlives the timer.
        let timer = unsafe { CreateThreadpoolTimer(Some(expired), event.as_raw_handle(), std::ptr::null()) };
        if timer == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { timer: Timer(timer), event: event.into() })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.event
    }

    pub(crate) fn silence(&self) -> io::Result<()> {
        // SAFETY: an open handle.
        if unsafe { ResetEvent(self.event.0.as_raw_handle()) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    pub(crate) fn set_alarm(&self, after: Duration) -> io::Result<()> {
        // Below zero: from now on, in units of 100 ns.
        let units = i64::try_from(after.as_nanos().div_ceil(100)).unwrap_or(i64::MAX);
        let due = (-units) as u64;
        let due = FILETIME { dwLowDateTime: due as u32, dwHighDateTime: (due >> 32) as u32 };
        // SAFETY: a timer of ours, and a time that lives through the call.
        unsafe { SetThreadpoolTimer(self.timer.0, &raw const due, 0, 0) };
        Ok(())
    }
}

pub(crate) fn ring(porch: &Porch, owner: u32, number: u32) -> bool {
    let Ok(name) = name(porch, owner, number) else { return false };
    // SAFETY: a string that ends in 0.
    let event = unsafe { OpenEventW(EVENT_MODIFY_STATE, 0, name.as_ptr()) };
    if event.is_null() {
        return false;
    }
    // SAFETY: opened just now, owned by nobody else.
    let event = unsafe { OwnedHandle::from_raw_handle(event) };
    // SAFETY: an open handle with this right.
    unsafe { SetEvent(event.as_raw_handle()) != 0 }
}

/// The event goes with its last handle.
pub(crate) fn remove(_: &Porch, _: u32, _: u32) {}

pub(crate) fn wait_any(handles: &[&Handle], deadline: Option<Instant>) -> io::Result<Option<usize>> {
    if handles.is_empty() {
        // WaitForMultipleObjects refuses to wait for none; poll(2) does.
        loop {
            let Some(deadline) = deadline else {
                std::thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(left);
        }
    }
    let raw: Vec<HANDLE> = handles.iter().map(|handle| handle.0.as_raw_handle()).collect();
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let millis = left.map_or(INFINITE, |left| {
            // Rounded up, so as not to spin through the last millisecond.
            u32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE - 1).min(INFINITE - 1)
        });
        // SAFETY: as many open handles as said; more than 64, or none, are refused.
        match unsafe { WaitForMultipleObjects(raw.len() as u32, raw.as_ptr(), 0, millis) } {
            WAIT_FAILED => return Err(io::Error::last_os_error()),
            WAIT_TIMEOUT if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return Ok(None),
            WAIT_TIMEOUT => {}
            which => return Ok(which.checked_sub(WAIT_OBJECT_0).map(|which| which as usize)),
        }
    }
}
