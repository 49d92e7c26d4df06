//! Services over shared memory for tokio: the same messages, waited for by tokio's reactor. There is no thread behind them.
//!
//! ```
//! use crossing_queue::service::{Service, tokio::{Client, Server}};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let name = format!("doc-tokio-service-{}", std::process::id());
//! let server = Server::new(&Service::<u64, u64>::options().serve(&name)?)?; // in this process or any other
//! let client = Client::new(&Service::<u64, u64>::options().connect(&name)?)?;
//! let serving = tokio::spawn(async move {
//!     let request = server.recv().await?;
//!     let doubled = request.payload() * 2;
//!     request.reply(&doubled).await
//! });
//! assert_eq!(*client.call(&21).await?, 42);
//! serving.await.unwrap()?;
//! # Ok::<(), crossing_sys::Error>(())
//! # }).unwrap();
//! ```

mod client;
mod replies;
mod server;
mod stream;

pub use client::{Call, Client};
pub use replies::Replies;
pub use server::{Request, Server};
pub use stream::ReplyStream;

use crate::queue::Sender;
use crate::tokio::Watched;
use crossing_sys::{ErrorKind, Result};
use std::time::{Duration, Instant};

/// How often one looks that cannot wait, since too many do.
const CROWDED: Duration = Duration::from_millis(5);

/// Tries until it gives something; in between waits for room where `sender` sends, or a tenth of a second.
async fn room<T>(sender: &Sender, mut attempt: impl FnMut() -> Option<Result<T>>) -> Result<T> {
    loop {
        if let Some(outcome) = attempt() {
            return outcome;
        }
        // Mostly there is room, so that the means to wait for it is made when there is none.
        match sender.poller() {
            Ok(poller) => return Watched::new(poller, sender.endpoint())?.until(attempt).await,
            Err(error) if error.kind() == ErrorKind::LimitReached => tokio::time::sleep(CROWDED).await,
            Err(error) => return Err(error),
        }
    }
}

/// What comes of it; `None`: the deadline has passed, and it was dropped.
async fn before<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.ok(),
        None => Some(work.await),
    }
}
