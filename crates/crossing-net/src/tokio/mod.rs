//! Sockets for tokio: the same nouns, the same protocols, the same endpoints (`tcp:`, `unix:`, `tls:`).
//!
//! Every method that waits says what happens if its future is dropped before it is ready (`select!`, a timeout). Streams and
//! listeners are waited for by tokio's reactor, so a runtime with I/O and time enabled must be there.
//!
//! ```
//! use crossing_net::tokio::{Listener, Stream};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let listener = Listener::bind("tcp:127.0.0.1:0")?;
//! let mut client = Stream::connect(listener.endpoint()).await?;
//! let (mut server, _peer) = listener.accept().await?;
//! client.send(b"hello").await?;
//! assert_eq!(server.recv().await?, b"hello");
//! # Ok::<(), crossing_net::Error>(())
//! # }).unwrap();
//! ```

mod datagram;
mod halves;
mod handles;
mod listener;
mod packets;
mod peer_process;
mod raw;
mod session;
mod stream;

pub use datagram::{Datagram, DatagramSender};
pub use halves::{RecvHalf, SendHalf};
pub use listener::Listener;
pub use packets::{PacketListener, PacketSender, PacketStream};
pub use peer_process::PeerProcess;
pub use raw::RawStream;
pub use session::{Session, SessionListener, SessionSender};
pub use stream::Stream;

pub use crate::service::tokio::{Call, Client, Replies, ReplyStream, Request, Server};

use crate::link::Link;
use crate::{Error, ErrorKind, Result};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::io::{Interest, Ready};

pub(crate) fn failed(cause: io::Error, name: &str) -> Error {
    Error::os(cause, "wait with tokio on", name)
}

/// Lets tokio's reactor watch it.
pub(crate) fn register<T: AsRawFd>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // Deprecated, since a type may lie about its descriptor; the other way is unsafe. Ours own theirs as long as they live.
    #[allow(deprecated)]
    AsyncFd::with_interest(inner, interest)
}

/// Tries until it gives something; waits for `interest` in between. Nothing is awaited after it gave something, so whoever drops
/// the future drops nothing else. It tries again at the `limit` at the latest, if there is one.
async fn attempt<S: AsRawFd, T>(
    watched: &AsyncFd<S>,
    interest: Interest,
    name: &str,
    limit: impl Fn(&S) -> Option<Instant>,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    // A socket that always has something leaves the other tasks their turn.
    tokio::task::coop::consume_budget().await;
    loop {
        // Directly: tokio hears of changes only, so all that is there must be used up before waiting.
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        let waiting = watched.ready(interest);
        let waited = match limit(watched.get_ref()) {
            None => waiting.await,
            Some(at) => match tokio::time::timeout_at(at.into(), waiting).await {
                Ok(waited) => waited,
                Err(_) => continue,
            },
        };
        let mut guard = waited.map_err(|cause| failed(cause, name))?;
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        forget(&mut guard, interest);
    }
}

/// The attempt used up what it was told of. What came since is not forgotten by this.
fn forget<S: AsRawFd>(guard: &mut AsyncFdReadyGuard<'_, S>, interest: Interest) {
    if interest.is_readable() {
        guard.clear_ready_matching(Ready::READABLE);
    }
    if interest.is_writable() {
        guard.clear_ready_matching(Ready::WRITABLE);
    }
}

/// Does what cannot but block (resolving, connecting) on a thread for such work. Dropped, its outcome is dropped.
pub(crate) async fn elsewhere<T: Send + 'static>(
    operation: &'static str,
    name: String,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(ErrorKind::Disconnected, operation, name).detail("the runtime is ending")),
    }
}

/// Lets the tasks that use one connection take turns, where that is TLS: one that finds another one at it is told that there is
/// no room, which the system never says. It is not held while anybody waits.
#[derive(Debug)]
struct Turn(Option<Mutex<()>>);

impl Turn {
    fn of(link: &Link) -> Self {
        Self(link.is_tls().then(Mutex::default))
    }

    fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.0.as_ref().map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        work()
    }
}
