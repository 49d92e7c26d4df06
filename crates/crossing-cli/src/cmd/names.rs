//! Which mechanism a name means: `posix:/NAME`, `sysv:PATH,PROJ`, `mq:/NAME`, `tcp:HOST:PORT`, `unix:PATH`, plain names.

use crate::exit::Failure;

/// What the segment and semaphore commands can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectName {
    /// A name in Crossing's own registry.
    Native(String),
    /// A POSIX object, its name with the leading slash.
    Posix(String),
    /// A System V object: what follows `sysv:`.
    SystemV(String),
    /// A POSIX message queue: the whole endpoint.
    Queue(String),
}

impl ObjectName {
    /// Parses a name of the command line.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text.split_once(':') {
            Some(("posix", rest)) if rest.starts_with('/') => Ok(Self::Posix(rest.to_owned())),
            Some(("posix", rest)) => Ok(Self::Posix(format!("/{rest}"))),
            Some(("sysv", rest)) => Ok(Self::SystemV(rest.to_owned())),
            Some(("mq", _)) => Ok(Self::Queue(text.to_owned())),
            Some(("shm", rest)) => Ok(Self::Native(rest.to_owned())),
            Some((scheme, _)) => Err(Failure::usage(format!(
                "cannot use \"{text}\": no kind of name begins with \"{scheme}:\"; write NAME, posix:/NAME, \
                 sysv:PATH,PROJ or sysv:0xKEY"
            ))),
            None => Ok(Self::Native(text.to_owned())),
        }
    }
}

/// What carries messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A message queue, the kernel's or ours.
    Queue,
    /// A stream socket.
    Socket,
}

impl Carrier {
    /// Chooses by the scheme of an endpoint.
    pub fn of(endpoint: &str) -> Result<Self, Failure> {
        match endpoint.split_once(':').map(|(scheme, _)| scheme) {
            Some("shm" | "mq" | "sysv") => Ok(Self::Queue),
            Some("tcp" | "tls" | "unix" | "pipe") => Ok(Self::Socket),
            _ => Err(Failure::usage(format!(
                "cannot use endpoint \"{endpoint}\": it names no mechanism; write shm:NAME, mq:/NAME, tcp:HOST:PORT, \
                 unix:PATH or pipe:NAME"
            ))),
        }
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
