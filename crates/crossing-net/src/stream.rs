//! Framed streams: the engine of `crossing-wire` over a connection.
//!
//! Sending: a frame is *taken* when its first byte has gone to the system (or is next in line); what could not go yet
//! stays in `out`, at most one frame, and goes first with the next call of any kind, so that an interrupted call never
//! breaks the byte stream. Receiving: bytes are read into the decoder's buffer, and frames lent out of it.

mod faults;
mod gather;
mod handles;
mod options;
#[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
mod tasks;
mod vectored;

pub use gather::GatheringSender;
pub(crate) use options::Settings;
pub use options::StreamOptions;

use crate::halves::{RecvHalf, SendHalf};
use crate::link::{Link, Peer, until};
use crate::{ErrorKind, Result, ToEndpoint};
use crossing_sys::Error;
use crossing_sys::file::Handle;
use crossing_sys::local::Wait;
use crossing_wire::{Decoder, Encoder, Kind};
use faults::{ended, is_waiting, protocol_error, too_large};
use handles::Arrived;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SEND: &str = "send to";
const RECV: &str = "receive from";

/// Up to this length a payload is copied behind its header; longer ones are sent from where they are.
const COPIED_LEN: usize = 8 << 10;

/// How much [`Stream::send_many`] gathers for one call of the system, in bytes.
const COALESCED_LEN: usize = 64 << 10;

/// How long [`Stream::close`] waits for the peer to take the tail.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A connection that carries frames of any bytes, whole and in order. Dropping it cuts it; [`close`](Self::close) ends
/// it.
#[derive(Debug)]
pub struct Stream {
    link: Arc<Link>,
    encoder: Encoder,
    decoder: Decoder,
    /// Bytes of taken frames that did not go yet: those from `sent` on.
    out: Vec<u8>,
    sent: usize,
    handshake_until: Option<Instant>,
    /// The peer's introduction came, maybe to the other half.
    introduced: bool,
    send_ended: bool,
    /// The last read took all that the system had.
    drained: bool,
    /// Handles that came for frames.
    arrived: Arrived,
}

impl Stream {
    pub(crate) fn new(link: Link, settings: &Settings) -> Self {
        let arrived = Arrived::new(if link.local().is_some() { settings.max_handles } else { 0 });
        let encoder = Encoder::new(settings.max_frame_len).taking_handles(arrived.max());
        let mut stream = Self {
            link: Arc::new(link),
            introduced: false,
            out: encoder.preamble().to_vec(),
            encoder,
            decoder: Decoder::new(settings.max_frame_len).taking_handles(arrived.max()),
            sent: 0,
            handshake_until: Instant::now().checked_add(settings.handshake_timeout),
            send_ended: false,
            drained: false,
            arrived,
        };
        // A new connection has room for the preamble; if it is dead already, the first use tells.
        let _ = stream.flush_wait(Wait::Never);
        stream
    }

    /// Options, to be ended by [`connect`](StreamOptions::connect).
    #[must_use]
    pub fn options() -> StreamOptions {
        StreamOptions::default()
    }

    /// Connects with the usual options.
    ///
    /// # Errors
    /// As [`StreamOptions::connect`].
    pub fn connect<E: ToEndpoint + ?Sized>(endpoint: &E) -> Result<Self> {
        Self::options().connect(endpoint)
    }

    /// Connects with the usual options until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`StreamOptions::connect`].
    pub fn connect_deadline<E: ToEndpoint + ?Sized>(
        endpoint: &E,
        deadline: impl Into<Option<Instant>>,
    ) -> Result<Self> {
        Self::options().connect_deadline(endpoint, deadline)
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when nobody is any more.
    pub fn peer(&self) -> Result<Peer> {
        self.link.peer().map_err(|cause| self.link.error(cause, "ask for the peer of"))
    }

    /// What TLS agreed with the peer: the application protocol (ALPN), and whether an earlier TLS session was resumed.
    /// `None` on connections without TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_agreed(&self) -> Option<(Option<Vec<u8>>, bool)> {
        self.link.agreed()
    }

    /// Whether the peer said that it sends nothing more: tells a planned end from a cut when receiving fails with
    /// [`ErrorKind::Disconnected`].
    #[must_use]
    pub fn peer_ended(&self) -> bool {
        self.decoder.ended()
    }

    /// Sends a frame, waiting for room without end. The first call also awaits the peer's introduction.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the peer does not accept frames of this length (nothing was sent, the stream goes
    /// on), [`ErrorKind::Disconnected`], [`ErrorKind::Incompatible`] when the peer speaks another protocol or version,
    /// [`ErrorKind::TimedOut`] when it does not introduce itself in time, [`ErrorKind::ApiMisuse`] after
    /// [`end_sending`](Self::end_sending), and those of the system.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.send_deadline(frame, None)
    }

    /// Sends a frame if there is room for its beginning; `false` if there is none, and nothing was sent. The rest goes
    /// with the following calls.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[must_use = "false means that nothing was sent"]
    pub fn try_send(&mut self, frame: &[u8]) -> Result<bool> {
        self.send_wait(frame, Wait::Never)
    }

    /// As [`send`](Self::send), waiting at most `timeout`. If the time runs out in the middle of the frame, it counts as
    /// sent: the rest goes with the following calls.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::TimedOut`]: nothing was sent.
    pub fn send_timeout(&mut self, frame: &[u8], timeout: Duration) -> Result<()> {
        self.send_deadline(frame, Instant::now().checked_add(timeout))
    }

    /// As [`send_timeout`](Self::send_timeout), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&mut self, frame: &[u8], deadline: impl Into<Option<Instant>>) -> Result<()> {
        match self.send_wait(frame, until(deadline.into()))? {
            true => Ok(()),
            false => Err(self.link.fault(ErrorKind::TimedOut, SEND).detail("the peer does not read")),
        }
    }

    /// Sends many frames with few calls of the system, waiting for room without end.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ErrorKind::TooLarge`] before anything is sent, if it is one of the frames.
    pub fn send_many<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<()> {
        self.send_many_wait(frames, Wait::Forever).map(drop)
    }

    /// Sends as many of the frames as there is room for, and gives how many these are; the rest of the last one goes with
    /// the following calls.
    ///
    /// # Errors
    /// As [`send_many`](Self::send_many).
    #[must_use = "the frames beyond that number were not sent"]
    pub fn try_send_many<F: AsRef<[u8]>>(&mut self, frames: &[F]) -> Result<usize> {
        self.send_many_wait(frames, Wait::Never)
    }

    /// Sends frames until `deadline` (`None`: without end), and gives how many went; the rest of the last one goes with
    /// the following calls.
    ///
    /// # Errors
    /// As [`send_many`](Self::send_many).
    #[must_use = "the frames beyond that number were not sent"]
    pub fn send_many_deadline<F: AsRef<[u8]>>(
        &mut self,
        frames: &[F],
        deadline: impl Into<Option<Instant>>,
    ) -> Result<usize> {
        self.send_many_wait(frames, until(deadline.into()))
    }

    /// Passes on what [`try_send`](Self::try_send) or a timed send left, waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] when it could not all go, [`ErrorKind::Disconnected`], and those of the system.
    pub fn flush_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<()> {
        match self.flush_wait(until(deadline.into()))? {
            true => Ok(()),
            false => Err(self.link.fault(ErrorKind::TimedOut, SEND).detail("the peer does not read")),
        }
    }

    /// Splits it into a half that sends and a half that receives, for two threads; awaits the peer's introduction for
    /// that. The connection closes when both are dropped.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) that concern the introduction.
    pub fn split(self) -> Result<(SendHalf, RecvHalf)> {
        self.split_deadline(None)
    }

    /// As [`split`](Self::split), waiting for the introduction until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`split`](Self::split), and [`ErrorKind::TimedOut`]; the connection is closed then.
    pub fn split_deadline(mut self, deadline: impl Into<Option<Instant>>) -> Result<(SendHalf, RecvHalf)> {
        if !self.handshake(until(deadline.into()))? {
            let error = self.link.fault(ErrorKind::TimedOut, RECV);
            return Err(error.detail("the peer did not introduce itself"));
        }
        let receiving = Self {
            link: Arc::clone(&self.link),
            encoder: self.encoder.clone(),
            decoder: std::mem::replace(&mut self.decoder, Decoder::new(0)),
            out: Vec::new(),
            sent: 0,
            handshake_until: None,
            introduced: true,
            send_ended: true,
            drained: false,
            arrived: std::mem::take(&mut self.arrived),
        };
        Ok((SendHalf(self), RecvHalf(receiving)))
    }

    /// Receives the next frame, waiting for it without end. It is lent until the next call.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the peer ended ([`peer_ended`](Self::peer_ended)) or is gone,
    /// [`ErrorKind::TooLarge`] when it announced a frame longer than this side accepts, [`ErrorKind::Incompatible`] when
    /// it speaks another protocol or version, [`ErrorKind::Corrupt`] when it breaks the protocol,
    /// [`ErrorKind::TimedOut`] when it does not introduce itself in time, and those of the system.
    pub fn recv(&mut self) -> Result<&[u8]> {
        self.recv_deadline(None)
    }

    /// Receives the next frame if it has arrived whole; `None` if not.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<&[u8]>> {
        self.recv_wait(Wait::Never)
    }

    /// As [`recv`](Self::recv), waiting at most `timeout`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`]; a part that has arrived is kept.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<&[u8]> {
        self.recv_deadline(Instant::now().checked_add(timeout))
    }

    /// As [`recv`](Self::recv), waiting until `deadline` (`None`: without end).
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and [`ErrorKind::TimedOut`]; a part that has arrived is kept.
    pub fn recv_deadline(&mut self, deadline: impl Into<Option<Instant>>) -> Result<&[u8]> {
        if !self.fill_until_ready(until(deadline.into()))? {
            return Err(self.link.fault(ErrorKind::TimedOut, RECV));
        }
        self.take()
    }

    /// Says that nothing more will be sent, and passes on what is left, waiting without end. Receiving goes on.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn end_sending(&mut self) -> Result<()> {
        self.end_sending_wait(Wait::Forever)
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn end_sending_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.end_sending_wait(Wait::at_most(timeout))
    }

    /// Ends the connection so that the peer gets everything that was sent: ends sending, then takes and drops what the
    /// peer still sends until it closes too, at most 2 s. A peer that stays open longer may lose nothing either, unless
    /// it sends on.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] when the peer does not even take what was sent, [`ErrorKind::Disconnected`] when it is
    /// gone, and those of the system.
    pub fn close(mut self) -> Result<()> {
        let wait = Wait::at_most(CLOSE_PATIENCE);
        self.end_sending_wait(wait)?;
        let mut dropped = vec![0; COPIED_LEN];
        while self.link.recv(&mut dropped, wait).is_ok_and(|len| len > 0) {}
        Ok(())
    }

    fn end_sending_wait(&mut self, wait: Wait) -> Result<()> {
        if self.send_ended {
            return Ok(());
        }
        if !self.send_wait_kind(Kind::End, &[], wait)? || !self.flush_wait(wait)? {
            return Err(self.link.fault(ErrorKind::TimedOut, SEND).detail("the peer does not read"));
        }
        self.send_ended = true;
        match self.link.end_sending() {
            // The peer closed after all frames were passed on, the end among them, which it may have been waiting for.
            // Unix sockets say nothing of it either.
            Err(cause) if cause.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other.map_err(|cause| self.link.error(cause, "end sending to")),
        }
    }

    fn send_wait(&mut self, frame: &[u8], wait: Wait) -> Result<bool> {
        self.send_wait_kind(Kind::Data, frame, wait)
    }

    /// Takes a frame; `false` when the wait ended before its first byte went.
    fn send_wait_kind(&mut self, kind: Kind, payload: &[u8], wait: Wait) -> Result<bool> {
        self.send_pieces(kind, &[], payload, wait)
    }

    /// As [`send_deadline`](Self::send_deadline), of a frame in two pieces, the first a short one.
    pub(crate) fn send_two_deadline(
        &mut self,
        (head, payload): (&[u8], &[u8]),
        deadline: Option<Instant>,
    ) -> Result<()> {
        match self.send_pieces(Kind::Data, head, payload, until(deadline))? {
            true => Ok(()),
            false => Err(self.link.fault(ErrorKind::TimedOut, SEND).detail("the peer does not read")),
        }
    }

    /// As [`try_send`](Self::try_send), of a frame in two pieces, the first a short one.
    pub(crate) fn try_send_two(&mut self, (head, payload): (&[u8], &[u8])) -> Result<bool> {
        self.send_pieces(Kind::Data, head, payload, Wait::Never)
    }

    /// Whether the next frame, or why there is none, has arrived. Does not wait.
    pub(crate) fn has_arrived(&mut self) -> Result<bool> {
        self.fill_until_ready(Wait::Never)
    }

    /// Whether it is here already: the system need not be asked.
    pub(crate) fn is_here(&self) -> bool {
        self.decoder.is_ready()
    }

    fn send_pieces(&mut self, kind: Kind, head: &[u8], payload: &[u8], wait: Wait) -> Result<bool> {
        if self.send_ended {
            return Err(self.link.fault(ErrorKind::ApiMisuse, SEND).detail("sending was ended on this side"));
        }
        if !self.handshake(wait)? || !self.flush_wait(wait)? {
            return Ok(false);
        }
        let len = head.len() + payload.len();
        let Ok(header) = self.encoder.header(kind, len) else {
            return Err(self.too_large(len));
        };
        if len <= COPIED_LEN {
            self.out.extend_from_slice(&header);
            self.out.extend_from_slice(head);
            self.out.extend_from_slice(payload);
            self.flush_wait(wait)?;
            if self.sent == 0 && !self.out.is_empty() {
                self.out.clear();
                return Ok(false);
            }
            return Ok(true);
        }
        if head.is_empty() {
            return self.send_long(&header, payload, 0, wait);
        }
        self.send_long(&[&header, head].concat(), payload, 0, wait)
    }

    /// Sends a frame from where it is, behind its header, of which `sent` bytes went; `false` when the wait ended before its first byte went.
    fn send_long(&mut self, header: &[u8], payload: &[u8], mut sent: usize, wait: Wait) -> Result<bool> {
        let whole = header.len() + payload.len();
        while sent < whole {
            let result = match header.get(sent..) {
                Some(head) => self.link.send_vectored(&[IoSlice::new(head), IoSlice::new(payload)], wait),
                None => self.link.send(&payload[sent - header.len()..], wait),
            };
            match result {
                Ok(len) => sent += len,
                Err(cause) if is_waiting(&cause) && sent == 0 => return Ok(false),
                Err(cause) if is_waiting(&cause) => {
                    self.out.extend_from_slice(header.get(sent..).unwrap_or_default());
                    self.out.extend_from_slice(&payload[sent.saturating_sub(header.len())..]);
                    break;
                }
                Err(cause) => return Err(self.link.error(cause, SEND)),
            }
        }
        Ok(true)
    }

    fn too_large(&self, len: usize) -> Error {
        too_large(&self.link, &self.encoder, len)
    }

    /// Takes frames until the wait ends; gives how many.
    fn send_many_wait<F: AsRef<[u8]>>(&mut self, frames: &[F], wait: Wait) -> Result<usize> {
        if self.send_ended {
            return Err(self.link.fault(ErrorKind::ApiMisuse, SEND).detail("sending was ended on this side"));
        }
        if !self.handshake(wait)? || !self.flush_wait(wait)? {
            return Ok(0);
        }
        let limit = self.encoder.limit();
        if let Some(frame) = frames.iter().find(|frame| frame.as_ref().len() > limit) {
            return Err(self.too_large(frame.as_ref().len()));
        }
        let mut taken = 0;
        while let Some(frame) = frames.get(taken) {
            if frame.as_ref().len() > COPIED_LEN {
                if !self.send_wait_kind(Kind::Data, frame.as_ref(), wait)? {
                    break;
                }
                taken += 1;
                continue;
            }
            // As many small ones as go at once; `ends` remembers where each ends.
            let mut ends = Vec::with_capacity(256);
            for frame in &frames[taken..] {
                let frame = frame.as_ref();
                if frame.len() > COPIED_LEN || self.out.len() + frame.len() > COALESCED_LEN {
                    break;
                }
                if self.encoder.encode(Kind::Data, frame, &mut self.out).is_err() {
                    return Err(self.too_large(frame.len()));
                }
                ends.push(self.out.len());
            }
            if self.flush_wait(wait)? {
                taken += ends.len();
                continue;
            }
            // Those of which nothing went stay with the caller.
            let begun = ends.iter().filter(|end| **end < self.sent).count();
            let begun = begun
                + usize::from(
                    begun < ends.len() && self.sent > begun.checked_sub(1).map_or(0, |at| ends[at]),
                );
            self.out.truncate(begun.checked_sub(1).map_or(0, |at| ends[at]));
            if self.out.len() == self.sent {
                self.out.clear();
                self.sent = 0;
            }
            return Ok(taken + begun);
        }
        Ok(taken)
    }

    /// Passes on `out`; `false` when the wait ended before all of it went.
    fn flush_wait(&mut self, wait: Wait) -> Result<bool> {
        while self.sent < self.out.len() {
            match self.link.send(&self.out[self.sent..], wait) {
                Ok(len) => self.sent += len,
                Err(cause) if is_waiting(&cause) => return Ok(false),
                Err(cause) => return Err(self.link.error(cause, SEND)),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Awaits the peer's preamble; `false` when the wait ended before.
    fn handshake(&mut self, wait: Wait) -> Result<bool> {
        if self.introduced {
            return Ok(true);
        }
        loop {
            match self.decoder.next_preamble() {
                Ok(Some(peer)) => {
                    self.encoder.set_limit(peer.max_frame_len as usize);
                    self.encoder.set_handle_limit(handles::limit(peer.max_handles));
                    self.introduced = true;
                    return Ok(true);
                }
                Ok(None) => {}
                Err(error) => return Err(protocol_error(&self.link, error)),
            }
            if !self.fill(wait)? {
                return Ok(false);
            }
        }
    }

    fn recv_wait(&mut self, wait: Wait) -> Result<Option<&[u8]>> {
        if self.fill_until_ready(wait)? { self.take().map(Some) } else { Ok(None) }
    }

    /// Reads until the decoder has a frame or an error; `false` when the wait ended before.
    fn fill_until_ready(&mut self, wait: Wait) -> Result<bool> {
        while !self.decoder.is_ready() {
            if self.decoder.ended() {
                return Err(ended(&self.link));
            }
            if !self.fill(wait)? {
                return Ok(false);
            }
            if self.drained && wait == Wait::Never && !self.decoder.is_ready() && !self.decoder.ended() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives what the decoder has ready; handles that came with it are closed.
    fn take(&mut self) -> Result<&[u8]> {
        self.take_with_handles().map(|(payload, _)| payload)
    }

    fn take_with_handles(&mut self) -> Result<(&[u8], Vec<Handle>)> {
        match self.decoder.next_frame() {
            Ok(Some(frame)) if frame.kind == Kind::Data && frame.handles == 0 && self.arrived.max() == 0 => {
                Ok((frame.payload, Vec::new()))
            }
            Ok(Some(frame)) if frame.kind == Kind::Data => {
                Ok((frame.payload, self.arrived.take(frame.handles, &self.link)?))
            }
            other => {
                self.arrived.close();
                Err(other.map_or_else(|error| protocol_error(&self.link, error), |_| ended(&self.link)))
            }
        }
    }

    /// Reads once; `false` when the wait ended before anything came.
    fn fill(&mut self, wait: Wait) -> Result<bool> {
        self.arrived.check(&self.decoder, &self.link)?;
        // What a timed send left must go on, or both sides would wait for each other.
        if !self.out.is_empty() && !self.flush_wait(Wait::Never)? && wait != Wait::Never {
            return self.fill_while_flushing(wait);
        }
        self.read(wait)
    }

    fn fill_while_flushing(&mut self, wait: Wait) -> Result<bool> {
        loop {
            match self.link.send_or_ready(&self.out[self.sent..], wait) {
                Ok(progress) => {
                    self.sent += progress.sent;
                    if progress.readable || self.flush_wait(Wait::Never)? {
                        return self.read(wait);
                    }
                }
                Err(cause) if is_waiting(&cause) => return Ok(false),
                Err(cause) => return Err(self.link.error(cause, RECV)),
            }
        }
    }

    fn read(&mut self, wait: Wait) -> Result<bool> {
        let introduced = self.introduced || self.decoder.peer().is_some();
        let limit = self.handshake_until.filter(|_| !introduced);
        let wait = limit.map_or(wait, |limit| wait.no_later_than(limit));
        let space = self.decoder.space();
        let room = space.len();
        match self.arrived.recv(&self.link, space, wait) {
            Ok(0) => {
                let error = self.link.fault(ErrorKind::Disconnected, RECV);
                Err(match (introduced, self.decoder.buffered()) {
                    (false, _) => error.detail("it closed before it introduced itself"),
                    (true, 0) => error.detail("it closed without ending its stream"),
                    (true, len) => error.detail(format!("{len} bytes of an unfinished frame came before")),
                })
            }
            Ok(len) => {
                self.drained = len < room && self.link.shows_all() && self.arrived.max() == 0;
                self.decoder.advance(len);
                // At once, so that the limit for it ends; an error stays in the decoder for who asks for a frame.
                let _ = self.decoder.next_preamble();
                Ok(true)
            }
            Err(cause) if is_waiting(&cause) => match limit {
                Some(limit) if Instant::now() >= limit => Err(self
                    .link
                    .fault(ErrorKind::TimedOut, RECV)
                    .detail("the peer did not introduce itself")
                    .fix("exchange raw bytes with a peer that is not Crossing, or raise handshake_timeout")),
                _ => Ok(false),
            },
            Err(cause) => Err(self.arrived.error(cause, &self.link)),
        }
    }
}
