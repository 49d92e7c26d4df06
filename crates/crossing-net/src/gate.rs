//! How many connections of a listener may be open at a time, in all and of one peer.

use crate::Peer;
use crossing_sys::local::Wait;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts open connections.
#[derive(Debug)]
pub(crate) struct Gate {
    counts: Mutex<Counts>,
    one_closed: Condvar,
    most: usize,
    most_of_one: usize,
}

#[derive(Debug, Default)]
struct Counts {
    /// Those open, and those that somebody waits for.
    open: usize,
    /// Of each peer that has one open.
    of: HashMap<Who, usize>,
    refused: u64,
}

/// Whose connections count together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    /// An address of IPv4, or of a network of IPv6.
    Address(IpAddr),
    /// A user of this machine.
    User(u32),
    /// A user of this machine, by a system that has no numbers for them.
    Sid(Option<String>),
}

impl Who {
    fn of(peer: &Peer) -> Self {
        match peer {
            Peer::Tcp(address) => Self::Address(match address.ip().to_canonical() {
                // One machine has a whole /64 to choose its addresses from.
                IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
                ip => ip,
            }),
            Peer::Local(credentials) => match credentials.ids() {
                Some((user, _)) => Self::User(user),
                None => Self::Sid(credentials.sid().map(str::to_owned)),
            },
        }
    }
}

/// One open connection; dropping it lets another in.
#[derive(Debug)]
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    who: Option<Who>,
}

impl Gate {
    /// `None` where there is no limit.
    pub(crate) fn new(most: Option<usize>, most_of_one: Option<usize>) -> Option<Arc<Self>> {
        (most.is_some() || most_of_one.is_some()).then(|| {
            Arc::new(Self {
                counts: Mutex::default(),
                one_closed: Condvar::new(),
                most: most.unwrap_or(usize::MAX),
                most_of_one: most_of_one.unwrap_or(usize::MAX),
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lock().open >= self.most
    }

    /// How many connections were refused because their peer had as many as it may.
    pub(crate) fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// Counts one more, once there is room for it.
    pub(crate) fn enter(self: &Arc<Self>, wait: Wait) -> io::Result<Ticket> {
        let mut counts = self.lock();
        while counts.open >= self.most {
            counts = match wait {
                Wait::Never => return Err(io::ErrorKind::WouldBlock.into()),
                Wait::Forever => self.one_closed.wait(counts).unwrap_or_else(PoisonError::into_inner),
                Wait::Until(at) => match at.saturating_duration_since(Instant::now()) {
                    Duration::ZERO => return Err(io::ErrorKind::TimedOut.into()),
                    left => {
                        self.one_closed.wait_timeout(counts, left).unwrap_or_else(PoisonError::into_inner).0
                    }
                },
            };
        }
        counts.open += 1;
        Ok(Ticket { gate: Arc::clone(self), who: None })
    }
}

impl Ticket {
    /// Counts it as one of `peer`; `false` when that has as many as it may.
    pub(crate) fn admit(&mut self, peer: &Peer) -> bool {
        let who = Who::of(peer);
        let mut counts = self.gate.lock();
        if counts.of.get(&who).copied().unwrap_or(0) >= self.gate.most_of_one {
            counts.refused += 1;
            return false;
        }
        *counts.of.entry(who.clone()).or_insert(0) += 1;
        drop(counts);
        self.who = Some(who);
        true
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.gate.lock();
        counts.open -= 1;
        if let Some(who) = self.who.take()
            && let Some(of_one) = counts.of.get_mut(&who)
        {
            *of_one -= 1;
            if *of_one == 0 {
                counts.of.remove(&who);
            }
        }
        drop(counts);
        self.gate.one_closed.notify_one();
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
