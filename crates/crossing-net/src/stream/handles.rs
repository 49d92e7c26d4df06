//! Handles of the operating system that go with frames, over local sockets.
//!
//! The system carries handles beside the bytes, in order, and gives them out no later than the first byte that they were
//! sent with. Each frame's header says how many go with it, so counting them off in the order in which they arrived gives
//! each frame its own (`docs/format/frame.md`). At any time the handles that wait are those of the frame that is incomplete;
//! what a peer sends beyond that is closed, and the connection is given up.

use super::faults::is_waiting;
use super::{COPIED_LEN, RECV, SEND, Settings, Stream, StreamOptions};
use crate::halves::{RecvHalf, SendHalf};
use crate::link::{Link, until};
use crate::{Endpoint, Error, ErrorKind, Result};
use crossing_sys::file::Handle;
use crossing_sys::local::{MAX_HANDLES, Wait};
use crossing_wire::{Decoder, EncodeError};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

const FIX: &str = "raise max_handles on this side, or the limit of open files (`ulimit -n`)";

impl Settings {
    /// Refuses handles where none can go.
    pub(crate) fn check_handles(&self, operation: &'static str, endpoint: &Endpoint) -> Result<()> {
        match self.max_handles {
            0 => Ok(()),
            _ => Err(only_local(Error::new(ErrorKind::Unsupported, operation, endpoint.to_string()))),
        }
    }
}

fn only_local(error: Error) -> Error {
    error
        .detail("handles of the operating system go over sockets of one machine alone")
        .fix("use unix:PATH, or pipe:NAME on Windows, or send the bytes instead of the handle")
}

impl StreamOptions {
    /// How many handles of the operating system the peer may send with one frame or packet; none unless set, at most 64
    /// (see [`Stream::recv_with_handles`]). Local sockets alone carry them: elsewhere connecting is
    /// [`ErrorKind::Unsupported`].
    pub fn max_handles(&mut self, handles: usize) -> &mut Self {
        self.settings.max_handles = handles.min(MAX_HANDLES);
        self
    }
}

/// How many handles go with a frame to a peer that says it takes `max`.
pub(super) fn limit(max: u8) -> u8 {
    max.min(MAX_HANDLES as u8)
}

/// The handles that came and were not given out.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    handles: VecDeque<Handle>,
    /// The most that go with a frame.
    max: u8,
    /// What is wrong with those that came; for ever, for it is not known any more whose they are.
    fault: Option<String>,
}

impl Arrived {
    pub(super) fn new(max: usize) -> Self {
        Self { max: limit(u8::try_from(max).unwrap_or(u8::MAX)), ..Self::default() }
    }

    /// How many a frame may bring.
    pub(super) fn max(&self) -> u8 {
        self.max
    }

    /// Receives bytes and keeps the handles that came with them. Where none are taken, the system closes them.
    pub(super) fn recv(&mut self, link: &Link, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        match link.local() {
            Some(local) if self.max > 0 => {
                let mut came = Vec::new();
                let len = local.recv_with_handles(buffer, &mut came, usize::from(self.max), wait)?;
                self.handles.extend(came);
                Ok(len)
            }
            _ => link.recv(buffer, wait),
        }
    }

    /// The error of [`recv`](Self::recv).
    pub(super) fn error(&mut self, cause: io::Error, link: &Link) -> Error {
        if cause.kind() == io::ErrorKind::InvalidData && self.max > 0 {
            // Those of an unknown frame are lost.
            return self.fail(cause.to_string(), link);
        }
        link.error(cause, RECV)
    }

    /// Closes those that nobody will take any more.
    pub(super) fn close(&mut self) {
        self.handles.clear();
    }

    fn fail(&mut self, fault: String, link: &Link) -> Error {
        self.close();
        self.fault = Some(fault.clone());
        link.fault(ErrorKind::LimitReached, RECV).detail(fault).fix(FIX)
    }

    fn failed(&self, link: &Link) -> Result<()> {
        match &self.fault {
            Some(fault) => Err(link.fault(ErrorKind::LimitReached, RECV).detail(fault.clone()).fix(FIX)),
            None => Ok(()),
        }
    }

    /// Refuses handles that belong to no frame; while no frame is ready.
    pub(super) fn check(&mut self, decoder: &Decoder, link: &Link) -> Result<()> {
        self.failed(link)?;
        let most = match (decoder.peer(), decoder.buffered()) {
            (None, _) | (_, 0) => 0,
            _ => decoder.announced_handles().unwrap_or(self.max),
        };
        match self.handles.len() {
            here if here > usize::from(most) => {
                Err(self
                    .wrong(format!("the peer sent {here} handles where its frames announce {most}"), link))
            }
            _ => Ok(()),
        }
    }

    /// Gives out the `count` handles of a frame that is whole.
    pub(super) fn take(&mut self, count: u8, link: &Link) -> Result<Vec<Handle>> {
        self.failed(link)?;
        let count = usize::from(count);
        if self.handles.len() < count {
            let here = self.handles.len();
            return Err(self.wrong(format!("the peer announced {count} handles and sent {here}"), link));
        }
        Ok(self.handles.drain(..count).collect())
    }

    fn wrong(&mut self, fault: String, link: &Link) -> Error {
        self.fail(fault.clone(), link);
        link.fault(ErrorKind::Corrupt, RECV).detail(fault)
    }
}

impl Stream {
    /// As [`send`](Self::send), with copies of `handles`: file descriptors on Unix, handles on Windows. The peer has them
    /// when it has the frame, however frames are gathered and split on the way; what they name stays open here too.
    ///
    /// A segment of shared memory goes by its handle (`segment.handle()`, and `Segment::options().from_handle(..)` at the
    /// other end).
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use crossing_net::{Listener, Stream};
    /// use crossing_sys::file::Handle;
    /// use std::os::fd::OwnedFd;
    ///
    /// let endpoint = format!("unix:@doc-handles-{}", std::process::id());
    /// let listener = Listener::options().max_handles(1).bind(&endpoint)?;
    /// let mut client = Stream::connect(&endpoint)?;
    /// let (mut server, _peer) = listener.accept()?;
    /// # let sending = std::thread::spawn(move || {
    /// let file = Handle::from(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
    /// client.send_with_handles(b"a file", &[&file])?;
    /// # Ok::<_, crossing_net::Error>(client) });
    /// let (frame, handles) = server.recv_with_handles()?;
    /// assert_eq!((frame, handles.len()), (&b"a file"[..], 1));
    /// # drop(sending.join());
    /// # }
    /// # Ok::<(), crossing_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ErrorKind::LimitReached`] when the peer takes fewer handles with a frame
    /// (`max_handles` of its options; nothing was sent, the stream goes on), [`ErrorKind::Unsupported`] over TCP and TLS.
    ///
    /// # Platform-specific behavior
    /// Windows: the handles wait in this process until they are received, so they are lost if it ends before; the receiver
    /// must be the process that connected or listened, and be allowed to duplicate handles of this one.
    pub fn send_with_handles(&mut self, frame: &[u8], handles: &[&Handle]) -> Result<()> {
        self.send_with_handles_deadline(frame, handles, None)
    }

    /// As [`send_with_handles`](Self::send_with_handles) if there is room for the frame's beginning; `false` if there is none,
    /// and nothing was sent.
    ///
    /// # Errors
    /// As [`send_with_handles`](Self::send_with_handles).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_with_handles(&mut self, frame: &[u8], handles: &[&Handle]) -> Result<bool> {
        self.send_handles_wait(frame, handles, Wait::Never)
    }

    /// As [`send_with_handles`](Self::send_with_handles), waiting at most `timeout`, as
    /// [`send_timeout`](Self::send_timeout) does.
    ///
    /// # Errors
    /// As [`send_with_handles`](Self::send_with_handles), and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_with_handles_timeout(
        &mut self,
        frame: &[u8],
        handles: &[&Handle],
        timeout: Duration,
    ) -> Result<()> {
        self.send_with_handles_deadline(frame, handles, Instant::now().checked_add(timeout))
    }

    /// As [`send_with_handles_timeout`](Self::send_with_handles_timeout), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_with_handles_timeout`](Self::send_with_handles_timeout).
    pub fn send_with_handles_deadline(
        &mut self,
        frame: &[u8],
        handles: &[&Handle],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        match self.send_handles_wait(frame, handles, until(deadline.into()))? {
            true => Ok(()),
            false => Err(self.link.fault(ErrorKind::TimedOut, SEND).detail("the peer does not read")),
        }
    }

    /// As [`recv`](Self::recv), with the handles that came with the frame, at most as many as `max_handles` of the options;
    /// the other calls that receive close them. None stays open in programs started later.
    ///
    /// What came is whatever the peer sent: check what it is before relying on it.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); [`ErrorKind::LimitReached`] when the peer sent more handles at once than this side takes or
    /// may open, [`ErrorKind::Corrupt`] when it sent others than it announced. They are closed, and so should be the stream.
    pub fn recv_with_handles(&mut self) -> Result<(&[u8], Vec<Handle>)> {
        self.recv_with_handles_deadline(None)
    }

    /// As [`recv_with_handles`](Self::recv_with_handles) if a frame has arrived whole; `None` if not.
    ///
    /// # Errors
    /// As [`recv_with_handles`](Self::recv_with_handles).
    pub fn try_recv_with_handles(&mut self) -> Result<Option<(&[u8], Vec<Handle>)>> {
        if self.fill_until_ready(Wait::Never)? { self.take_with_handles().map(Some) } else { Ok(None) }
    }

    /// As [`recv_with_handles`](Self::recv_with_handles), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`recv_with_handles`](Self::recv_with_handles), and [`ErrorKind::TimedOut`]; what has arrived is kept.
    pub fn recv_with_handles_timeout(&mut self, timeout: Duration) -> Result<(&[u8], Vec<Handle>)> {
        self.recv_with_handles_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv_with_handles`](Self::recv_with_handles), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`recv_with_handles_timeout`](Self::recv_with_handles_timeout).
    pub fn recv_with_handles_deadline(
        &mut self,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<(&[u8], Vec<Handle>)> {
        if !self.fill_until_ready(until(deadline.into()))? {
            return Err(self.link.fault(ErrorKind::TimedOut, RECV));
        }
        self.take_with_handles()
    }

    /// Takes a frame and its handles; `false` when the wait ended before its first byte went.
    fn send_handles_wait(&mut self, frame: &[u8], handles: &[&Handle], wait: Wait) -> Result<bool> {
        if handles.is_empty() {
            return self.send_wait(frame, wait);
        }
        if self.send_ended {
            return Err(self.link.fault(ErrorKind::ApiMisuse, SEND).detail("sending was ended on this side"));
        }
        if self.link.local().is_none() {
            return Err(only_local(self.link.fault(ErrorKind::Unsupported, SEND)));
        }
        if !self.handshake(wait)? || !self.flush_wait(wait)? {
            return Ok(false);
        }
        let header = match self.encoder.header_with_handles(frame.len(), handles.len()) {
            Ok(header) => header,
            Err(EncodeError::TooManyHandles { count, max }) => {
                return Err(self
                    .link
                    .fault(ErrorKind::LimitReached, SEND)
                    .detail(format!("{count} handles, the peer takes {max} with a frame"))
                    .fix("send fewer at once, or raise max_handles on the receiving side"));
            }
            Err(_) => return Err(self.too_large(frame.len())),
        };
        let is_short = frame.len() <= COPIED_LEN;
        self.out.extend_from_slice(&header);
        self.out.extend_from_slice(if is_short { frame } else { &[] });
        // The first byte takes all handles along.
        let sent = match self.link.local() {
            Some(local) => self.link.send_by(wait, |wait| local.send_with_handles(&self.out, handles, wait)),
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        match sent {
            Ok(len) => self.sent = len,
            Err(cause) => {
                self.out.clear();
                return if is_waiting(&cause) { Ok(false) } else { Err(self.link.error(cause, SEND)) };
            }
        }
        if is_short {
            self.flush_wait(wait)?;
            return Ok(true);
        }
        let sent = std::mem::take(&mut self.sent);
        self.out.clear();
        self.send_long(&header, frame, sent, wait)
    }
}

impl SendHalf {
    /// As [`Stream::send_with_handles`].
    ///
    /// # Errors
    /// As [`Stream::send_with_handles`].
    pub fn send_with_handles(&mut self, frame: &[u8], handles: &[&Handle]) -> Result<()> {
        self.0.send_with_handles(frame, handles)
    }

    /// As [`Stream::try_send_with_handles`].
    ///
    /// # Errors
    /// As [`Stream::try_send_with_handles`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_with_handles(&mut self, frame: &[u8], handles: &[&Handle]) -> Result<bool> {
        self.0.try_send_with_handles(frame, handles)
    }

    /// As [`Stream::send_with_handles_deadline`].
    ///
    /// # Errors
    /// As [`Stream::send_with_handles_deadline`].
    pub fn send_with_handles_deadline(
        &mut self,
        frame: &[u8],
        handles: &[&Handle],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        self.0.send_with_handles_deadline(frame, handles, deadline)
    }
}

impl RecvHalf {
    /// As [`Stream::recv_with_handles`].
    ///
    /// # Errors
    /// As [`Stream::recv_with_handles`].
    pub fn recv_with_handles(&mut self) -> Result<(&[u8], Vec<Handle>)> {
        self.0.recv_with_handles()
    }

    /// As [`Stream::try_recv_with_handles`].
    ///
    /// # Errors
    /// As [`Stream::try_recv_with_handles`].
    pub fn try_recv_with_handles(&mut self) -> Result<Option<(&[u8], Vec<Handle>)>> {
        self.0.try_recv_with_handles()
    }

    /// As [`Stream::recv_with_handles_deadline`].
    ///
    /// # Errors
    /// As [`Stream::recv_with_handles_deadline`].
    pub fn recv_with_handles_deadline(
        &mut self,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<(&[u8], Vec<Handle>)> {
        self.0.recv_with_handles_deadline(deadline)
    }
}

#[cfg(all(test, unix, not(crossing_os_stub)))]
#[path = "handles_tests.rs"]
mod tests;
