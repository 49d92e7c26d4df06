//! Services for tokio: tasks wait where the threads of the blocking ones do, a task for each connection reads it, and what is sent is
//! sent by the tasks.

mod client;
mod reading;
mod replies;
mod server;
mod stream;

pub(super) use reading::{OfConnection, OfServer};

pub use client::{Call, Client};
pub use replies::Replies;
pub use server::{Request, Server};
pub use stream::ReplyStream;

use crate::Result;
use crate::link::Link;
use crate::tokio::{failed, register};
use std::sync::Arc;
use tokio::io::Interest;

/// Until there may be room for more. Who waits for that has the reactor watch the connection as long as it waits, so that
/// thousands of connections with room cost nothing.
async fn writable(link: &Link) -> Result<()> {
    let about = |cause| failed(cause, link.name());
    // One registration for each who waits: the reactor has one for a descriptor.
    let descriptor = link.descriptor().try_clone_to_owned().map_err(about)?;
    let watched = register(descriptor, Interest::WRITABLE).map_err(about)?;
    drop(watched.writable().await.map_err(about)?);
    // There may be room while somebody else, or TLS, has it in use.
    tokio::task::yield_now().await;
    Ok(())
}

/// Tries until it is done; waits for room in between.
async fn until_done(link: &Arc<Link>, mut attempt: impl FnMut() -> Result<bool>) -> Result<()> {
    while !attempt()? {
        writable(link).await?;
    }
    Ok(())
}

/// What comes of it; `None`: the deadline has passed, and it was dropped.
async fn before<T>(deadline: Option<std::time::Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.ok(),
        None => Some(work.await),
    }
}
