//! Which mechanism carries a queue, read from a string.

use crossing_sys::sysv::Key;
use crossing_sys::{Error, ErrorKind, Result};

/// The endpoint of a queue, taken apart.
///
/// ```
/// use crossing_queue::QueueEndpoint;
/// assert_eq!(QueueEndpoint::parse("mq:/jobs")?, QueueEndpoint::Posix("/jobs".to_owned()));
/// # Ok::<(), crossing_sys::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueEndpoint {
    /// `shm:NAME`: a queue in shared memory, ours.
    Shared(String),
    /// `mq:/NAME`: a POSIX message queue, with its slash.
    Posix(String),
    /// `sysv:PATH,PROJ` or `sysv:0xKEY`: a System V message queue.
    SystemV(Key),
}

impl QueueEndpoint {
    /// Reads `scheme:rest`.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] for an unknown scheme, [`ErrorKind::Unsupported`] for one that carries no queue (yet);
    /// for `sysv:` whatever [`Key::parse`] says, above all when the file is missing.
    pub fn parse(endpoint: &str) -> Result<Self> {
        const OPERATION: &str = "open queue";
        const EXAMPLES: &str = "use shm:NAME, mq:/NAME, sysv:PATH,PROJ or sysv:0xKEY";
        let Some((scheme, rest)) = endpoint.split_once(':') else {
            return Err(Error::new(ErrorKind::ApiMisuse, OPERATION, endpoint)
                .detail("the endpoint has no scheme")
                .fix(if endpoint.starts_with('/') { "write it as mq:/NAME or shm:NAME" } else { EXAMPLES }));
        };
        match scheme {
            "shm" => Ok(Self::Shared(rest.to_owned())),
            "mq" => Ok(Self::Posix(rest.to_owned())),
            "sysv" => Key::parse(rest).map(Self::SystemV),
            "log" => Err(Error::new(ErrorKind::Unsupported, OPERATION, endpoint)
                .detail(format!("queues over {scheme}: are not built yet"))
                .fix(EXAMPLES)),
            "tcp" | "unix" | "tls" | "pipe" => Err(Error::new(ErrorKind::Unsupported, OPERATION, endpoint)
                .detail(format!("{scheme}: is a stream, not a queue"))
                .fix("open it as a stream, or use shm:NAME or mq:/NAME")),
            _ => Err(Error::new(ErrorKind::ApiMisuse, OPERATION, endpoint)
                .detail(format!("unknown scheme \"{scheme}\""))
                .fix(EXAMPLES)),
        }
    }
}
