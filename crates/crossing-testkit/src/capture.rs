//! Collects what a pipe carries while the test goes on.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The bytes a pipe has carried so far, filled by a thread of its own.
#[derive(Clone)]
pub(crate) struct Capture(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Where the next line begins.
    cursor: usize,
    ended: bool,
}

impl Capture {
    pub(crate) fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let filled = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let read = match pipe.read(&mut chunk) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Ok(0) | Err(_) => break,
                    Ok(read) => read,
                };
                lock(&filled.state).bytes.extend_from_slice(&chunk[..read]);
                filled.changed.notify_all();
            }
            lock(&filled.state).ended = true;
            filled.changed.notify_all();
        });
        Self(shared)
    }

    /// All bytes so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        lock(&self.0.state).bytes.clone()
    }

    /// The next line without its end; `None` at the deadline or when the pipe ended. A last line without `\n` counts.
    pub(crate) fn line(&self, deadline: Instant) -> Option<String> {
        let mut state = lock(&self.0.state);
        loop {
            let rest = &state.bytes[state.cursor..];
            let end = rest.iter().position(|&byte| byte == b'\n');
            if let Some(length) = end.or((state.ended && !rest.is_empty()).then_some(rest.len())) {
                let line = String::from_utf8_lossy(&rest[..length]).into_owned();
                state.cursor += length + usize::from(end.is_some());
                return Some(line);
            }
            if state.ended {
                return None;
            }
            state = self.wait(state, deadline)?;
        }
    }

    /// Waits for the end of the pipe; false at the deadline.
    pub(crate) fn ended(&self, deadline: Instant) -> bool {
        let mut state = lock(&self.0.state);
        while !state.ended {
            match self.wait(state, deadline) {
                Some(again) => state = again,
                None => return false,
            }
        }
        true
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, deadline: Instant) -> Option<MutexGuard<'a, State>> {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        Some(self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
