//! The servers of a client over shared memory: found by their names, asked by turns.

use super::client::{Shared, State, lock};
use super::{Contract, HEAD, SCHEMA, SLICE, look, part};
use crate::Loan;
use crate::error::SendError;
use crate::queue::{Queue, Sender};
use crossing_shm::registry::{self, Owner};
use crossing_shm::{Offset, Segment};
use crossing_sys::{CallError, Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often servers that came later are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// A server, as its clients know it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) number: u32,
    pub(super) owner: Owner,
    pub(super) sender: Sender,
    pub(super) pid: u32,
}

impl Shared {
    /// Looks which servers live; an error if there is none that can be asked.
    pub(super) fn look(&self, state: &mut State) -> Result<()> {
        state.looked = Some(Instant::now());
        state.servers.retain(|server| server.owner.is_alive());
        let mut refused = None;
        let known: Vec<u32> = state.servers.iter().map(|server| server.number).collect();
        for number in look(&self.name, &known, state.servers.is_empty())? {
            match self.open(number) {
                Ok(server) => state.servers.push(Arc::new(server)),
                Err(error) => refused = Some(error),
            }
        }
        if !state.servers.is_empty() {
            return Ok(());
        }
        match refused {
            // One that is just leaving.
            Some(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Err(Error::new(ErrorKind::NotFound, "connect to service", format!("shm:{}", self.name))
                .detail("no server lives")
                .fix(format!(
                    "start one: `crossing serve shm:{} --echo`, or Service::options().serve",
                    self.name
                ))),
        }
    }

    fn open(&self, number: u32) -> Result<Peer> {
        let name = part(&self.name, "server", number);
        let owner = registry::owner(&name)?;
        let segment = Segment::options().schema(SCHEMA).read_only(true).open(&name)?;
        let offered = segment.read(Offset::<Contract>::new(0))?;
        self.agree(&offered)?;
        let queue = Queue::<[u8]>::options().open(&format!("shm:{}", part(&self.name, "asked", number)))?;
        Ok(Peer { number, owner, sender: queue.sender()?, pid: offered.pid })
    }

    fn agree(&self, offered: &Contract) -> Result<()> {
        let wanted = &self.wanted;
        let error = |detail: String| {
            let subject = format!("shm:{}", self.name);
            Error::new(ErrorKind::Incompatible, "connect to service", subject).detail(detail)
        };
        if offered.magic != wanted.magic || offered.version != wanted.version {
            return Err(error(format!(
                "a server has version {}, this client {}",
                offered.version, wanted.version
            ))
            .fix("let clients and servers use the same version"));
        }
        let terms = |it: &Contract| (it.schema, it.sizes, it.aligns);
        if terms(offered) == terms(wanted) {
            return Ok(());
        }
        let say = |it: &Contract| {
            let size = |at: usize| match it.sizes[at] {
                u32::MAX => "bytes".to_owned(),
                size => format!("size {size}, alignment {}", it.aligns[at]),
            };
            format!("schema {:#x}, requests of {}, replies of {}", it.schema, size(0), size(1))
        };
        Err(error(format!(
            "process {} serves {}; this client has {}",
            offered.pid,
            say(offered),
            say(wanted)
        ))
        .fix("use the same types and schema, or another name"))
    }

    /// The next living server.
    pub(super) fn choose(&self, state: &mut State) -> Result<Arc<Peer>> {
        if state.servers.is_empty() || state.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look(state).map_err(|error| match error.kind() {
                // It had one when it connected.
                ErrorKind::NotFound => self.of_call(CallError::NoServer).detail("no server lives"),
                _ => error,
            })?;
        }
        state.turn = state.turn.wrapping_add(1);
        let turn = state.turn % state.servers.len();
        Ok(Arc::clone(&state.servers[turn]))
    }

    /// Room in a server's queue. One that dies meanwhile is not waited for.
    pub(super) fn lend(&self, server: &Peer, len: usize, deadline: Option<Instant>) -> Result<Loan> {
        // Mostly there is, and the time does not matter.
        if let Ok(loan) = server.sender.try_loan_slice(len) {
            return Ok(loan);
        }
        loop {
            let slice = Instant::now() + SLICE;
            let until = deadline.map_or(slice, |at| at.min(slice));
            match server.sender.loan_slice_with(len, &crate::Properties::new(), Some(until)) {
                // A server that died just now is noticed by who waits for it.
                Ok(loan) => return Ok(loan),
                Err(SendError::TimedOut) if !server.owner.is_alive() => return Err(self.died(server)),
                Err(SendError::TimedOut) if deadline.is_none_or(|at| Instant::now() < at) => {}
                Err(error) => return Err(self.not_sent(error)),
            }
        }
    }

    /// It is not asked any more.
    pub(super) fn forget(&self, server: &Peer) {
        lock(&self.state).servers.retain(|known| known.number != server.number);
    }

    pub(super) fn died(&self, server: &Peer) -> Error {
        self.forget(server);
        self.of_call(CallError::NoServer).detail(format!("the server (process {}) died or left", server.pid))
    }

    pub(super) fn not_sent(&self, error: SendError) -> Error {
        match error {
            SendError::TimedOut | SendError::Full => {
                self.of_call(CallError::DeadlinePassed).detail("the server's queue stayed full")
            }
            SendError::TooLarge { len, max } => {
                let head = HEAD as u64;
                self.fault(ErrorKind::TooLarge {
                    len: len.saturating_sub(head),
                    max: max.saturating_sub(head),
                })
                .fix("let the server have a larger max_request_len")
            }
            SendError::Os(error) => error,
        }
    }
}
