//! One side of a session.

use super::inbound::Inbound;
use super::introduction::{Introduction, frame_limit};
use super::message::{Message, NUMBERS_LEN, Open, Refusal, SessionId, Terms};
use super::outbound::{Outbound, cost};
use super::{Cause, Config, Event, LEAST_DEAD_AFTER, Loss};
use crate::{DecodeError, Decoder, Kind, Preamble};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Events that nobody asked for are kept up to this many, the latest.
const EVENTS_KEPT: usize = 256;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Without a connection: a client connects, a server waits for it.
    Down,
    /// A client's connection awaits the listener's answer.
    Opening,
    /// With a connection.
    Up,
    /// Ended or lost. What is left to be written and taken still can be.
    Over,
}

/// What [`Session::recv`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<'a> {
    /// The next message.
    Message(&'a [u8]),
    /// The peer sends nothing more, and everything that it sent was taken.
    Ended,
    /// Nothing is there yet; after a loss nothing will come.
    Nothing,
}

/// Why a message was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// As much is unacknowledged as may be: try again when something was acknowledged.
    Full,
    /// The peer accepts no messages of this length.
    TooLarge {
        /// The longest that it accepts, in bytes.
        max: usize,
    },
    /// Sending was ended on this side.
    Ended,
    /// The session is over.
    Over,
}

/// One side of a session: see the [module](super).
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    config: Config,
    is_client: bool,
    phase: Phase,
    decoder: Decoder,
    /// Frames without numbers and the preamble, ready to go.
    control: Vec<u8>,
    control_sent: usize,
    outbound: Outbound,
    inbound: Inbound,
    /// Numbered frames that arrived, were taken, and were acknowledged to the peer.
    received: u64,
    taken: u64,
    acked: u64,
    /// Since the last acknowledgement this much was taken, as it counts in the window.
    taken_cost: usize,
    ack_due: bool,
    peer_limit: Option<usize>,
    peer_dead_after: Duration,
    fin_sent: bool,
    peer_fin: bool,
    was_up: bool,
    rose: bool,
    first_failure: Option<Cause>,
    attempt: u64,
    close_said: bool,
    /// Both sides ended; a client that does not know it yet may come back.
    ended: bool,
    heard_at: Instant,
    said_at: Instant,
    since: Instant,
    events: VecDeque<Event>,
}

impl Session {
    fn new(id: SessionId, config: Config, is_client: bool, now: Instant) -> Self {
        let window_bytes = config.window_bytes.min(u32::MAX as usize);
        let dead_after = config.dead_after.max(LEAST_DEAD_AFTER);
        Self {
            id,
            config: Config { window_bytes, dead_after, ..config },
            is_client,
            phase: Phase::Down,
            decoder: Decoder::for_sessions(frame_limit(&config)),
            control: Vec::new(),
            control_sent: 0,
            outbound: Outbound::default(),
            inbound: Inbound::default(),
            received: 0,
            taken: 0,
            acked: 0,
            taken_cost: 0,
            ack_due: false,
            peer_limit: None,
            peer_dead_after: dead_after,
            fin_sent: false,
            peer_fin: false,
            was_up: false,
            rose: false,
            first_failure: None,
            attempt: 0,
            close_said: false,
            ended: false,
            heard_at: now,
            said_at: now,
            since: now,
            events: VecDeque::new(),
        }
    }

    /// The side that connects. Nobody else may be able to guess `id`.
    #[must_use]
    pub fn client(id: SessionId, config: Config, now: Instant) -> Self {
        Self::new(id, config, true, now)
    }

    /// The side that listens, for a session that came for the first time. The first connection is not in use yet:
    /// [`resume`](Self::resume) with the same introduction.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when its client believes that it existed, or has not introduced itself.
    pub fn server(introduction: &Introduction, config: Config, now: Instant) -> Result<Self, Refusal> {
        match introduction.open {
            Some(open) if open.new => Ok(Self::new(open.id, config, false, now)),
            _ => Err(Refusal::Unknown),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// A client has a new connection: what is left of an earlier one is dropped.
    pub fn connected(&mut self, now: Instant) {
        if !self.is_client || self.phase == Phase::Over {
            return;
        }
        self.disconnected(Cause::Replaced, now);
        let limit = frame_limit(&self.config);
        self.decoder = Decoder::for_sessions(limit);
        self.attempt += 1;
        self.control.extend_from_slice(&Preamble::new(limit).for_sessions().encode());
        let open = Open { id: self.id, attempt: self.attempt, new: !self.was_up, terms: self.terms() };
        Message::Open(open).encode(&mut self.control);
        self.phase = Phase::Opening;
        (self.heard_at, self.said_at) = (now, now);
    }

    /// A server's session goes on (or begins) on the connection that `introduction` was read from.
    ///
    /// # Errors
    /// Why it does not; the connection is to be [refused](Introduction::refuse).
    pub fn resume(&mut self, introduction: Introduction, now: Instant) -> Result<(), Refusal> {
        let Introduction { decoder, open, .. } = introduction;
        let open = open.filter(|open| open.id == self.id && !self.is_client).ok_or(Refusal::Unknown)?;
        if self.phase == Phase::Over && !self.ended {
            return Err(Refusal::Unknown);
        }
        if open.attempt <= self.attempt {
            return Err(Refusal::Stale);
        }
        self.attempt = open.attempt;
        self.disconnected(Cause::Replaced, now);
        self.phase = Phase::Down;
        self.control.clear();
        self.control_sent = 0;
        self.decoder = decoder;
        let terms = self.terms();
        Message::Accept(terms).encode(&mut self.control);
        self.up(open.terms, now);
        self.read(now);
        Ok(())
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, cause: Cause, now: Instant) {
        if matches!(self.phase, Phase::Up | Phase::Opening) {
            if self.phase == Phase::Up {
                self.since = now;
                self.happened(Event::Reconnecting(cause));
            } else {
                self.first_failure = Some(cause);
            }
            self.phase = Phase::Down;
        }
        if self.phase != Phase::Over {
            self.control.clear();
            self.control_sent = 0;
        }
    }

    /// Room to read into; [`advance`](Self::advance) then says how much was read.
    pub fn space(&mut self) -> &mut [u8] {
        self.decoder.space()
    }

    /// Says that `len` bytes were read into [`space`](Self::space) at `now`.
    pub fn advance(&mut self, len: usize, now: Instant) {
        self.decoder.advance(len);
        self.read(now);
    }

    /// As [`advance`](Self::advance), with bytes from elsewhere.
    pub fn feed(&mut self, mut bytes: &[u8], now: Instant) {
        while !bytes.is_empty() && matches!(self.phase, Phase::Up | Phase::Opening) {
            let space = self.decoder.space();
            let len = space.len().min(bytes.len());
            space[..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            self.advance(len, now);
        }
    }

    /// Bytes that are to go to the connection; [`consume`](Self::consume) then says how many went. An acknowledgement
    /// that is due joins them.
    pub fn output(&mut self) -> &[u8] {
        let control_begun = self.control_sent > 0;
        if self.phase == Phase::Up && self.ack_due && !control_begun {
            Message::Ack(self.taken).encode(&mut self.control);
            self.note_acked();
        }
        let control = self.control_sent < self.control.len();
        let numbered = self.phase == Phase::Up;
        if control && (control_begun || !numbered || self.outbound.at_boundary()) {
            return &self.control[self.control_sent..];
        }
        if numbered { self.outbound.pending(!control) } else { &[] }
    }

    /// Says that `len` bytes of [`output`](Self::output) went at `now`.
    pub fn consume(&mut self, len: usize, now: Instant) {
        self.said_at = now;
        let numbered = self.phase == Phase::Up;
        let control = self.control_sent < self.control.len();
        if control && (self.control_sent > 0 || !numbered || self.outbound.at_boundary()) {
            self.control_sent += len;
            if self.control_sent >= self.control.len() {
                self.control.clear();
                self.control_sent = 0;
            }
        } else {
            self.outbound.consume(len);
        }
    }

    /// Takes a message to send.
    ///
    /// # Errors
    /// [`SendError`]; nothing is sent then.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        if self.phase == Phase::Over {
            return Err(SendError::Over);
        }
        if self.fin_sent {
            return Err(SendError::Ended);
        }
        // What the peer accepts is known from its first preamble on.
        let Some(max) = self.peer_limit else { return Err(SendError::Full) };
        if payload.len() > max {
            return Err(SendError::TooLarge { max });
        }
        let held = self.outbound.cost();
        if held > 0 && held.saturating_add(cost(payload.len())) > self.config.resend_bytes {
            return Err(SendError::Full);
        }
        let message = Message::Data { seq: self.outbound.next_seq(), ack: self.taken, payload };
        self.outbound.push(&message, payload.len());
        if self.phase == Phase::Up {
            self.note_acked();
        }
        Ok(())
    }

    /// Says that nothing more will be sent. The peer learns it after everything that was sent.
    pub fn end_sending(&mut self) {
        if !self.fin_sent && self.phase != Phase::Over {
            self.fin_sent = true;
            let message = Message::Fin { seq: self.outbound.next_seq(), ack: self.taken };
            self.outbound.push(&message, 0);
        }
    }

    /// Takes the next message. What was taken counts as arrived: the peer forgets it.
    pub fn recv(&mut self) -> Received<'_> {
        if self.inbound.is_empty() {
            self.ack_due |= self.taken > self.acked;
            return if self.peer_fin { Received::Ended } else { Received::Nothing };
        }
        self.taken += 1;
        self.taken_cost += self.inbound.front_cost();
        if self.taken_cost >= self.config.window_bytes / 4 {
            self.ack_due = true;
        }
        self.settle(1);
        match self.inbound.pop() {
            Some(message) => Received::Message(message),
            None => Received::Nothing,
        }
    }

    /// Whether [`recv`](Self::recv) has a message or the end.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.inbound.is_empty() || self.peer_fin
    }

    /// Whether an acknowledgement is due.
    #[must_use]
    pub fn owes_ack(&self) -> bool {
        self.ack_due
    }

    /// Whether the peer's end has arrived, with everything before it.
    #[must_use]
    pub fn peer_ended(&self) -> bool {
        self.peer_fin
    }

    /// Why the latest connection failed, while none ever stood.
    #[must_use]
    pub fn first_failure(&self) -> Option<Cause> {
        self.first_failure.filter(|_| !self.was_up)
    }

    /// Whether a connection stood since the last call of this.
    pub fn take_rose(&mut self) -> bool {
        std::mem::take(&mut self.rose)
    }

    /// Whether everything that was sent (and the end, if sending was ended) was acknowledged.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.outbound.base() == self.outbound.next_seq()
    }

    /// Whether both sides ended and everything was acknowledged, as far as this side knows.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.fin_sent && self.is_drained() && self.peer_fin && self.taken == self.received
    }

    /// Gives the session up; the peer is told if it can be.
    pub fn abandon(&mut self) {
        if self.phase == Phase::Up && !self.close_said {
            self.close_said = true;
            Message::Close { complete: self.is_complete() }.encode(&mut self.control);
        }
        if self.phase != Phase::Over {
            // In the middle of a message the peer could not make sense of the notice.
            if !self.outbound.at_boundary() {
                self.control.clear();
            }
            self.over(Event::Lost(Loss::Abandoned));
        }
    }

    /// No further connection can come: a session without one is lost.
    pub fn expire(&mut self) {
        if matches!(self.phase, Phase::Down | Phase::Opening) {
            self.lose(Loss::Expired);
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Over => None,
            Phase::Down => self.since.checked_add(self.config.lost_after),
            Phase::Opening => self.heard_at.checked_add(self.config.handshake_timeout),
            Phase::Up => {
                let dead = self.heard_at.checked_add(self.config.dead_after);
                let beat = self.said_at.checked_add(self.peer_dead_after / 3);
                dead.into_iter().chain(beat).min()
            }
        }
    }

    /// Does what is due at `now`: heartbeats, and giving up what is silent or lost.
    pub fn handle_timeout(&mut self, now: Instant) {
        let passed = |since: Instant, time: Duration| now.saturating_duration_since(since) >= time;
        match self.phase {
            Phase::Up if passed(self.heard_at, self.config.dead_after) => {
                self.disconnected(Cause::Silent, now)
            }
            Phase::Up if passed(self.said_at, self.peer_dead_after / 3) => {
                self.ack_due = true;
                // Once only, even if it cannot go now.
                self.said_at = now;
            }
            Phase::Opening if passed(self.heard_at, self.config.handshake_timeout) => {
                self.disconnected(Cause::NoAnswer, now);
            }
            _ => {}
        }
        let down = matches!(self.phase, Phase::Down | Phase::Opening);
        if down && passed(self.since, self.config.lost_after) {
            self.lose(Loss::Expired);
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            received: self.received,
            window: self.config.window_bytes as u32,
            dead_after: self.config.dead_after,
        }
    }

    fn note_acked(&mut self) {
        self.acked = self.taken;
        self.taken_cost = 0;
        self.ack_due = false;
    }

    /// The peer's terms arrived on a new connection.
    fn up(&mut self, theirs: Terms, now: Instant) {
        if let Some(peer) = self.decoder.peer() {
            self.peer_limit = Some((peer.max_frame_len as usize).saturating_sub(NUMBERS_LEN));
        }
        self.peer_dead_after = theirs.dead_after.max(LEAST_DEAD_AFTER);
        let sent_before = self.outbound.sent_seq();
        if theirs.received > sent_before || !self.outbound.rewind(theirs.received, theirs.window as usize) {
            let error = DecodeError::WrongAck { sent: sent_before, acked: theirs.received };
            self.lose(Loss::Protocol(error));
            return;
        }
        let event = match self.was_up {
            true => Event::Resumed { resent: sent_before - theirs.received },
            false => Event::Connected,
        };
        (self.was_up, self.rose) = (true, true);
        self.happened(event);
        self.phase = Phase::Up;
        (self.heard_at, self.said_at) = (now, now);
        // It tells what was taken, which an earlier acknowledgement may have failed to.
        self.ack_due = true;
        self.close_said = false;
        self.finish();
    }

    /// Takes notice of an end behind the last `left` messages, which are being taken.
    fn settle(&mut self, left: usize) {
        if self.peer_fin && self.inbound.len() == left && self.taken < self.received {
            self.taken = self.received;
            self.ack_due = true;
        }
        self.finish();
    }

    fn over(&mut self, event: Event) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.decoder = Decoder::for_sessions(frame_limit(&self.config));
            self.happened(event);
        }
    }

    fn happened(&mut self, event: Event) {
        // A client that missed the end comes back for it; the application knows already.
        if !self.ended {
            if self.events.len() >= EVENTS_KEPT {
                self.events.pop_front();
            }
            self.events.push_back(event);
            self.ended = event == Event::Ended;
        }
    }

    fn lose(&mut self, loss: Loss) {
        let complete = self.is_complete() && loss == Loss::Refused(Refusal::Unknown);
        self.over(if complete { Event::Ended } else { Event::Lost(loss) });
    }

    /// A server that has everything says so; its client may forget the session then.
    fn finish(&mut self) {
        if self.phase == Phase::Up && !self.is_client && !self.close_said && self.is_complete() {
            self.close_said = true;
            Message::Ack(self.taken).encode(&mut self.control);
            self.note_acked();
            Message::Close { complete: true }.encode(&mut self.control);
            self.over(Event::Ended);
        }
    }

    fn read(&mut self, now: Instant) {
        while matches!(self.phase, Phase::Up | Phase::Opening) {
            self.heard_at = if self.phase == Phase::Up { now } else { self.heard_at };
            match self.read_one(now) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.lose(Loss::Protocol(error)),
            }
        }
    }

    fn read_one(&mut self, now: Instant) -> Result<bool, DecodeError> {
        let Some(frame) = self.decoder.next_frame()? else { return Ok(false) };
        let kind = frame.kind;
        let message = Message::decode(kind, frame.payload)?;
        if self.phase == Phase::Opening {
            match message {
                Message::Accept(terms) => self.up(terms, now),
                Message::Refuse(refusal) if refusal.is_passing() => {
                    self.disconnected(Cause::Refused(refusal), now);
                }
                Message::Refuse(refusal) => self.lose(Loss::Refused(refusal)),
                _ => return Err(DecodeError::UnexpectedSessionFrame(kind)),
            }
            return Ok(true);
        }
        let (number, ack) = match message {
            Message::Data { seq, ack, .. } | Message::Fin { seq, ack } => (Some(seq), ack),
            Message::Ack(ack) => (None, ack),
            Message::Close { complete } => {
                // A client that has everything lets the session go; anything else is the peer's giving up.
                match complete && self.is_client && self.is_complete() {
                    true => self.over(Event::Ended),
                    false => self.over(Event::Lost(Loss::Abandoned)),
                }
                return Ok(true);
            }
            _ => return Err(DecodeError::UnexpectedSessionFrame(kind)),
        };
        if let Some(found) = number {
            if self.peer_fin {
                return Err(DecodeError::AfterEnd);
            }
            if found != self.received {
                return Err(DecodeError::WrongNumber { expected: self.received, found });
            }
        }
        match message {
            Message::Data { payload, .. } => {
                if !self.inbound.push(payload, self.config.window_bytes) {
                    return Err(DecodeError::WindowExceeded);
                }
                self.received += 1;
            }
            Message::Fin { .. } => {
                self.received += 1;
                self.peer_fin = true;
            }
            _ => {}
        }
        if !self.outbound.acknowledge(ack) {
            return Err(DecodeError::WrongAck { sent: self.outbound.sent_seq(), acked: ack });
        }
        debug_assert!(matches!(kind, Kind::Message | Kind::Ack | Kind::Fin));
        self.settle(0);
        Ok(true)
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
