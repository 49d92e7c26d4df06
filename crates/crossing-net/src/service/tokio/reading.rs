//! The tasks that read connections, one for each.

use super::super::client::{Shared, lock};
use super::super::server::{self, Connection, Taken, refusal};
use super::super::turn::Watch;
use super::server::pass;
use crate::Result;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// A task that waits for what comes from the server: as long as it does, a task of its runtime reads.
#[derive(Debug)]
pub(super) struct Waits<'a> {
    shared: &'a Arc<Shared>,
    counts: bool,
}

impl<'a> Waits<'a> {
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

impl Drop for Waits<'_> {
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
        match Watch::new(&shared.link) {
            Ok(watch) => drop(runtime.spawn(reader.run(watch))),
            Err(_) => shared.turn.keep(),
        }
    }

    async fn run(self, mut watch: Watch) {
        poll_fn(|context| self.0.poll_reading(&mut watch, context)).await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Maybe because the runtime ends.
        self.0.turn.reader_left();
    }
}

/// Who reads a server's connections.
#[derive(Debug, Default)]
pub(in super::super) struct OfServer {
    by: Mutex<By>,
    /// It is tasks.
    given: AtomicBool,
}

#[derive(Debug, Default)]
enum By {
    /// Threads, as nobody else waited so far.
    #[default]
    Threads,
    Tasks(Handle),
    /// Threads, whoever waits.
    ThreadsForGood,
}

/// What a server's connection has for the task that reads it.
#[derive(Debug)]
pub(in super::super) struct OfConnection {
    server: Weak<server::Shared>,
    /// Requests that were too many, of which the client is still to be told: two at most.
    refused: Mutex<Vec<u64>>,
}

impl OfConnection {
    pub(in super::super) fn new(server: &Arc<server::Shared>) -> Self {
        Self { server: Arc::downgrade(server), refused: Mutex::default() }
    }
}

impl server::Shared {
    /// Tasks of `runtime` wait for requests: tasks of it are to read.
    pub(in super::super) fn give_over(&self, runtime: &Handle) {
        let mut by = lock(&self.tasks.by);
        match &*by {
            By::Tasks(known) if known.id() == runtime.id() => {}
            By::ThreadsForGood => {}
            By::Threads => {
                // A runtime without I/O is to be heard of here, where the program waits, and not when a client comes.
                drop(tokio::net::UnixDatagram::unbound());
                *by = By::Tasks(runtime.clone());
                self.tasks.given.store(true, Ordering::SeqCst);
                drop(by);
                self.connections().iter().for_each(|connection| self.give_over_one(connection));
            }
            // One of the two may rest while the other one runs.
            By::Tasks(_) => {
                drop(by);
                self.take_back();
            }
        }
    }

    /// Threads wait for requests: threads are to read.
    pub(in super::super) fn take_back(&self) {
        if self.tasks.given.swap(false, Ordering::SeqCst) {
            *lock(&self.tasks.by) = By::ThreadsForGood;
            self.connections().iter().for_each(|connection| connection.turn.keep());
        }
    }

    /// A task begins to read the connection, if tasks do.
    pub(in super::super) fn give_over_one(&self, connection: &Arc<Connection>) {
        let runtime = match &*lock(&self.tasks.by) {
            By::Tasks(runtime) => runtime.clone(),
            _ => return,
        };
        if connection.turn.begin_residence(runtime.id()) {
            let reader = ServerReader(Arc::clone(connection), runtime.clone());
            let _inside = runtime.enter();
            match Watch::new(&connection.link) {
                Ok(watch) => drop(runtime.spawn(reader.run(watch))),
                Err(_) => connection.turn.keep(),
            }
        }
    }
}

/// What the task that reads has come to.
enum Next {
    Refuse(u64),
    Over,
}

impl Connection {
    /// What has come is taken, where the task that reads may not run now.
    pub(super) fn read_now(self: &Arc<Self>) {
        // Of those that are too many each must be told before the next is looked for.
        if !lock(&self.tasks.refused).is_empty() {
            return;
        }
        if let Some(next) = self.turn.read_now(|frame| self.take(frame)) {
            match next {
                Next::Refuse(id) => {
                    lock(&self.tasks.refused).push(id);
                    self.turn.wake_reader();
                }
                Next::Over => self.turn.end(),
            }
        }
    }

    fn take(self: &Arc<Self>, frame: Result<&[u8]>) -> ControlFlow<Next> {
        let (Ok(frame), Some(server)) = (frame, self.tasks.server.upgrade()) else {
            return ControlFlow::Break(Next::Over);
        };
        match server.take_frame(self, frame) {
            Taken::Whole => ControlFlow::Continue(()),
            Taken::Broken => ControlFlow::Break(Next::Over),
            Taken::Refused(id) => ControlFlow::Break(Next::Refuse(id)),
        }
    }
}

/// Who reads the connection of a client.
struct ServerReader(Arc<Connection>, Handle);

impl ServerReader {
    async fn run(self, mut watch: Watch) {
        let Self(connection, runtime) = &self;
        while let Next::Refuse(id) = poll_fn(|context| self.next(&mut watch, context)).await {
            // Nothing is read until it is told; one that does not read is cut off.
            let _ = pass(connection, &refusal(id), runtime).outcome().await;
        }
    }

    fn next(&self, watch: &mut Watch, context: &mut Context<'_>) -> Poll<Next> {
        let Self(connection, _) = self;
        if let Some(id) = lock(&connection.tasks.refused).pop() {
            return Poll::Ready(Next::Refuse(id));
        }
        let soon = || connection.tasks.server.upgrade().is_some_and(|server| server.has_one_client());
        let polled = connection.turn.poll_frames(watch, context, soon, |frame| connection.take(frame));
        polled.map(|next| match next {
            Some(Next::Over) => {
                connection.turn.end();
                Next::Over
            }
            Some(next) => next,
            None => Next::Over,
        })
    }
}

impl Drop for ServerReader {
    fn drop(&mut self) {
        self.0.turn.reader_left();
    }
}
