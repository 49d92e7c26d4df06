//! How many connections of a listener may be open at a time.

use crossing_sys::local::Wait;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts open connections.
#[derive(Debug)]
pub(crate) struct Gate {
    open: Mutex<usize>,
    one_closed: Condvar,
    most: usize,
}

/// One open connection; dropping it lets another in.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<Gate>);

impl Gate {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { open: Mutex::new(0), one_closed: Condvar::new(), most })
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_full(&self) -> bool {
        *self.lock() >= self.most
    }

    /// Counts one more, once there is room for it.
    pub(crate) fn enter(self: &Arc<Self>, wait: Wait) -> io::Result<Ticket> {
        let mut open = self.lock();
        while *open >= self.most {
            open = match wait {
                Wait::Never => return Err(io::ErrorKind::WouldBlock.into()),
                Wait::Forever => self.one_closed.wait(open).unwrap_or_else(PoisonError::into_inner),
                Wait::Until(at) => match at.saturating_duration_since(Instant::now()) {
                    Duration::ZERO => return Err(io::ErrorKind::TimedOut.into()),
                    left => {
                        self.one_closed.wait_timeout(open, left).unwrap_or_else(PoisonError::into_inner).0
                    }
                },
            };
        }
        *open += 1;
        Ok(Ticket(Arc::clone(self)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.one_closed.notify_one();
    }
}
