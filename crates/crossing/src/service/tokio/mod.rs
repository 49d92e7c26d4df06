//! Services for tokio behind one API, whatever carries them.

mod client;
mod server;

pub use client::{Call, Client, Replies};
pub use server::{ReplyStream, Request, Server};
