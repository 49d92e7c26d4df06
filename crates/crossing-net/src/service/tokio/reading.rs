//! The tasks that read connections, one for each.

use super::super::client::Shared;
use super::super::turn::Watched;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

/// A task that waits for what comes from the server: as long as it does, a task of its runtime reads.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    shared: &'a Arc<Shared>,
    counts: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>) -> Self {
        Self { shared, counts: false }
    }

    /// It has left its waker, and waits from now on.
    pub(super) fn pending<T>(&mut self) -> Poll<T> {
        if !self.counts {
            let runtime = Handle::try_current().ok();
            let watching = self.shared.turn.watch(runtime.as_ref().map(Handle::id));
            self.counts = watching.is_some();
            if let (Some(true), Some(runtime)) = (watching, runtime) {
                Reader::begin(self.shared, &runtime);
            }
        }
        Poll::Pending
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.counts {
            self.shared.turn.unwatch();
        }
    }
}

/// Who reads a client's connection.
struct Reader(Arc<Shared>);

impl Reader {
    fn begin(shared: &Arc<Shared>, runtime: &Handle) {
        let reader = Self(Arc::clone(shared));
        match Watched::new(&shared.link) {
            Ok(watched) => drop(runtime.spawn(reader.run(watched))),
            Err(_) => shared.turn.keep(),
        }
    }

    async fn run(self, watched: AsyncFd<Watched>) {
        poll_fn(|context| self.0.poll_reading(&watched, context)).await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Maybe because the runtime ends.
        self.0.turn.reader_left();
    }
}
