//! A proxy between a TCP client and a TCP server that does what bad networks do, by seed.
//!
//! It cuts connections, delays and splits what passes, swallows it without a word (a black hole), closes one direction, and
//! delivers what was on the way of a cut connection after its client has connected again. What passes is never changed: TCP would
//! not either.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Each connection has a fault after about this long.
    pub every: Duration,
    /// What passes waits up to this long.
    pub delay: Duration,
    /// Pieces have up to this many bytes; 0: as they come.
    pub piece: usize,
    /// Faults are cuts only; otherwise all of [`Fault`].
    pub cuts_only: bool,
}

/// What may happen to a connection, or to one of its directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Both directions end.
    Cut,
    /// Nothing comes any more, in either direction, and nobody is told.
    BlackHole,
    /// One direction is closed, and what still comes for it is swallowed.
    HalfClose,
    /// Nothing comes any more in one direction, and nobody is told.
    OneWay,
    /// Nothing comes in one direction for a while.
    Pause,
    /// The sender is cut; what it sent comes a while later, when it may have connected again.
    Late,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Cut, Self::BlackHole, Self::HalfClose, Self::OneWay, Self::Pause, Self::Late];
}

/// A running proxy. Dropping it cuts everything.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    faults: Faults,
    /// No more faults.
    calm: AtomicBool,
    stopped: AtomicBool,
    met: [AtomicU64; Fault::ALL.len()],
    connections: Mutex<Vec<TcpStream>>,
}

/// Numbers that look random (xorshift64*), from a seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `end`; 0 for an `end` of 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end.max(1)
    }
}

impl FaultProxy {
    /// Listens on a free port of this machine and passes connections on to `target`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(target: SocketAddr, faults: Faults) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            faults,
            calm: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            met: Default::default(),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            let mut number = 0;
            while let Ok((client, _)) = listener.accept() {
                if accepting.stopped.load(Ordering::Acquire) {
                    return;
                }
                number += 1;
                accepting.connect(client, number);
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on everything passes, and connections that were swallowed are cut.
    pub fn calm_down(&self) {
        self.shared.calm.store(true, Ordering::Release);
    }

    /// How many faults there were.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.met().iter().sum()
    }

    /// How many there were of each kind, in the order of [`Fault::ALL`], in each direction by itself.
    #[must_use]
    pub fn met(&self) -> [u64; Fault::ALL.len()] {
        std::array::from_fn(|kind| self.shared.met[kind].load(Ordering::Relaxed))
    }

    /// Cuts every connection now.
    pub fn cut(&self) {
        self.shared.cut();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.cut();
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Shared {
    fn cut(&self) {
        let connections =
            std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream, number: u64) {
        let Ok(server) = TcpStream::connect_timeout(&self.target, Duration::from_secs(2)) else { return };
        let mut random = Random::new(self.faults.seed ^ (number << 20));
        let every = self.faults.every.as_micros() as u64;
        let at = Instant::now() + Duration::from_micros(every / 2 + random.below(every));
        let fault = match self.faults.cuts_only {
            true => Fault::Cut,
            false => Fault::ALL[random.below(Fault::ALL.len() as u64) as usize],
        };
        let pairs = [(&client, &server), (&server, &client)];
        for (direction, (from, to)) in pairs.into_iter().enumerate() {
            let _ = from.set_nodelay(true);
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
            let mut kept = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(from.try_clone());
            drop(kept);
            let shared = Arc::clone(self);
            let random = Random::new(self.faults.seed ^ (number << 20) ^ (direction as u64 + 1));
            // Cuts and black holes are for both directions, half-closes and pauses for one.
            let fault = match fault {
                Fault::Cut | Fault::BlackHole => Some(fault),
                // What a client sent comes late, for it is clients who connect again.
                Fault::Late => Some(fault).filter(|_| direction == 0),
                _ => Some(fault).filter(|_| direction as u64 == number % 2),
            };
            thread::spawn(move || {
                shared.pass(from, to, random, at, fault);
            });
        }
    }

    fn pass(
        &self,
        mut from: TcpStream,
        mut to: TcpStream,
        mut random: Random,
        at: Instant,
        mut fault: Option<Fault>,
    ) {
        let mut buffer = vec![0; 16 << 10];
        let _ = from.set_read_timeout(Some(Duration::from_millis(5)));
        let mut swallows = false;
        loop {
            let len = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    0
                }
                Err(_) => break,
            };
            let calm = self.calm.load(Ordering::Acquire) || self.stopped.load(Ordering::Acquire);
            if swallows && calm {
                break;
            }
            let is_due = !calm && Instant::now() >= at;
            // What is to come late has to be there.
            if let Some(now) = fault.filter(|fault| is_due && (*fault != Fault::Late || len > 0)) {
                fault = None;
                self.met[now as usize].fetch_add(1, Ordering::Relaxed);
                match now {
                    Fault::Cut => break,
                    Fault::BlackHole | Fault::OneWay => swallows = true,
                    Fault::HalfClose => {
                        let _ = to.shutdown(Shutdown::Write);
                        swallows = true;
                    }
                    Fault::Pause => thread::sleep(Duration::from_millis(random.below(300))),
                    Fault::Late => {
                        let _ = from.shutdown(Shutdown::Both);
                        thread::sleep(Duration::from_millis(random.below(60)));
                        let _ = to.write_all(&buffer[..len]);
                        break;
                    }
                }
            }
            if len == 0 || swallows {
                continue;
            }
            if !calm && !self.faults.delay.is_zero() {
                let most = self.faults.delay.as_micros() as u64;
                thread::sleep(Duration::from_micros(random.below(most)));
            }
            let mut rest = &buffer[..len];
            while !rest.is_empty() {
                let piece = match self.faults.piece {
                    0 => rest.len(),
                    most => rest.len().min(1 + random.below(most as u64) as usize),
                };
                if to.write_all(&rest[..piece]).is_err() {
                    rest = &[];
                    continue;
                }
                rest = &rest[piece..];
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
