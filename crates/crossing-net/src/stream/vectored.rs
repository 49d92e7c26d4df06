//! Frames that are gathered from several places.

use super::faults::is_waiting;
use super::{COPIED_LEN, SEND, Stream};
use crate::halves::SendHalf;
use crate::link::until;
use crate::{ErrorKind, Result};
use crossing_sys::local::Wait;
use crossing_wire::Kind;
use std::io::IoSlice;
use std::time::{Duration, Instant};

/// How many places one call of the system gathers from at most, the header among them.
const GATHERED: usize = 64;

impl Stream {
    /// Sends one frame that is made of all `parts`, one after the other, waiting for room without end. They are not copied
    /// together, unless they are short.
    ///
    /// ```
    /// use crossing_net::{Listener, Stream};
    /// use std::io::IoSlice;
    /// let listener = Listener::bind("tcp:127.0.0.1:0")?;
    /// let mut client = Stream::connect(listener.endpoint())?;
    /// let (mut server, _peer) = listener.accept()?;
    /// client.send_vectored(&[IoSlice::new(b"head, "), IoSlice::new(b"body")])?;
    /// assert_eq!(server.recv()?, b"head, body");
    /// # Ok::<(), crossing_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.send_vectored_deadline(parts, None)
    }

    /// As [`send_vectored`](Self::send_vectored) if there is room for the frame's beginning; `false` if there is none, and nothing
    /// was sent. The rest goes with the following calls.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<bool> {
        self.send_parts(parts, Wait::Never)
    }

    /// As [`send_vectored`](Self::send_vectored), waiting at most `timeout`, as [`send_timeout`](Self::send_timeout) does.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_vectored_timeout(&mut self, parts: &[IoSlice<'_>], timeout: Duration) -> Result<()> {
        self.send_vectored_deadline(parts, Instant::now().checked_add(timeout))
    }

    /// As [`send_vectored_timeout`](Self::send_vectored_timeout), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_vectored_deadline(
        &mut self,
        parts: &[IoSlice<'_>],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        match self.send_parts(parts, until(deadline.into()))? {
            true => Ok(()),
            false => Err(self.link.fault(ErrorKind::TimedOut, SEND).detail("the peer does not read")),
        }
    }

    /// Takes a frame; `false` when the wait ended before its first byte went.
    fn send_parts(&mut self, parts: &[IoSlice<'_>], wait: Wait) -> Result<bool> {
        let len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        if len <= COPIED_LEN {
            return self
                .send_wait(&parts.iter().flat_map(|part| part.iter().copied()).collect::<Vec<u8>>(), wait);
        }
        if self.send_ended {
            return Err(self.link.fault(ErrorKind::ApiMisuse, SEND).detail("sending was ended on this side"));
        }
        if !self.handshake(wait)? || !self.flush_wait(wait)? {
            return Ok(false);
        }
        let Ok(header) = self.encoder.header(Kind::Data, len) else {
            return Err(self.too_large(len));
        };
        let (mut sent, whole) = (0, header.len() + len);
        while sent < whole {
            match self.link.send_vectored(&beyond(&header, parts, sent), wait) {
                Ok(more) => sent += more,
                Err(cause) if is_waiting(&cause) && sent == 0 => return Ok(false),
                Err(cause) if is_waiting(&cause) => {
                    let mut skipped = sent;
                    for part in std::iter::once(&header[..]).chain(parts.iter().map(|part| &part[..])) {
                        self.out.extend_from_slice(part.get(skipped..).unwrap_or_default());
                        skipped = skipped.saturating_sub(part.len());
                    }
                    break;
                }
                Err(cause) => return Err(self.link.error(cause, SEND)),
            }
        }
        Ok(true)
    }
}

/// What comes behind the first `skipped` bytes of a header and parts, as far as one call of the system takes it.
fn beyond<'a>(header: &'a [u8], parts: &'a [IoSlice<'_>], mut skipped: usize) -> Vec<IoSlice<'a>> {
    let mut rest = Vec::with_capacity(GATHERED.min(parts.len() + 1));
    for part in std::iter::once(header).chain(parts.iter().map(|part| &part[..])) {
        if let Some(left @ [_, ..]) = part.get(skipped..) {
            rest.push(IoSlice::new(left));
        }
        skipped = skipped.saturating_sub(part.len());
        if rest.len() == GATHERED {
            break;
        }
    }
    rest
}

impl SendHalf {
    /// As [`Stream::send_vectored`].
    ///
    /// # Errors
    /// As [`Stream::send_vectored`].
    pub fn send_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        self.0.send_vectored(parts)
    }

    /// As [`Stream::try_send_vectored`].
    ///
    /// # Errors
    /// As [`Stream::try_send_vectored`].
    #[must_use = "false means that nothing was sent"]
    pub fn try_send_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<bool> {
        self.0.try_send_vectored(parts)
    }

    /// As [`Stream::send_vectored_deadline`].
    ///
    /// # Errors
    /// As [`Stream::send_vectored_deadline`].
    pub fn send_vectored_deadline(
        &mut self,
        parts: &[IoSlice<'_>],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<()> {
        self.0.send_vectored_deadline(parts, deadline)
    }
}
