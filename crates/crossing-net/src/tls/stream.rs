//! A TLS connection over TCP, with the waits of other connections.
//!
//! One thread may receive while another sends: the engine of rustls has a lock of its own that is never held while
//! waiting. What rustls made and the socket did not take yet stays in `unsent` and goes first.

use super::verify::Refused;
use super::{TlsOptions, explain};
use crossing_sys::Result;
use crossing_sys::local::{self, Progress, Ready, Wait};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, Connection, OtherError, ServerConfig, ServerConnection};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How much is read at once, in bytes: a whole TLS record and a bit.
const READ_LEN: usize = 32 << 10;
/// How much is encrypted at once, in bytes.
const WRITE_LEN: usize = 64 << 10;

pub(crate) struct TlsStream {
    tcp: TcpStream,
    engine: Mutex<Connection>,
    /// Held while receiving: what arrives must go into the engine in its order.
    incoming: Mutex<Incoming>,
    /// Held while sending: encrypted bytes, those before the number have gone.
    unsent: Mutex<(Vec<u8>, usize)>,
}

/// Encrypted bytes that arrived; those of `range` are not in the engine yet.
#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    range: Range<usize>,
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of a connection on which TLS failed; [`reason`] gets the reason out of it again.
fn failed(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Why TLS failed and what to do, if it did.
pub(crate) fn reason(cause: &io::Error) -> Option<(String, &'static str)> {
    let error = cause.get_ref()?.downcast_ref::<rustls::Error>()?;
    let text = explain::text(error);
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error
        && let Some(refused) = other.downcast_ref::<Refused>()
    {
        return Some((text, explain::fix(&refused.cause)));
    }
    Some((text, explain::fix(error)))
}

impl TlsStream {
    fn new(tcp: TcpStream, engine: Connection) -> Self {
        Self { tcp, engine: Mutex::new(engine), incoming: Mutex::default(), unsent: Mutex::default() }
    }

    /// Begins to shake hands with a server that must prove to be `host`, or the name that the options have. What comes of
    /// it is told by the first send or receive.
    pub(crate) fn connect(tcp: TcpStream, host: &str, options: &TlsOptions) -> Result<io::Result<Self>> {
        let config = options.client_config()?;
        let name = options.name(host).to_owned();
        let Ok(name) = ServerName::try_from(name) else {
            return Ok(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the host is no name for a certificate",
            )));
        };
        let engine = match ClientConnection::new(config, name) {
            Ok(engine) => engine,
            Err(error) => return Ok(Err(failed(error))),
        };
        let stream = Self::new(tcp, Connection::Client(engine));
        // A new connection has room for it; if it is dead already, the first use tells.
        let _ = stream.flush(Wait::Never);
        Ok(Ok(stream))
    }

    /// The side of a listener; hands are shaken with the first bytes that are received.
    pub(crate) fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let engine = ServerConnection::new(config).map_err(failed)?;
        Ok(Self::new(tcp, Connection::Server(engine)))
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The application protocol that was agreed.
    pub(crate) fn alpn(&self) -> Option<Vec<u8>> {
        lock(&self.engine).alpn_protocol().map(<[u8]>::to_vec)
    }

    /// Whether hands were shaken by resuming an earlier TLS session.
    pub(crate) fn is_resumed(&self) -> bool {
        lock(&self.engine).handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn is_shaking_hands(&self) -> bool {
        lock(&self.engine).is_handshaking()
    }

    /// Awaits the end of the handshake.
    pub(crate) fn shake_hands(&self, wait: Wait) -> io::Result<()> {
        while lock(&self.engine).is_handshaking() {
            self.flush(wait)?;
            // Another thread that receives does this meanwhile.
            let Ok(mut incoming) = self.incoming.try_lock() else {
                if wait == Wait::Never {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                if matches!(wait, Wait::Until(at) if Instant::now() >= at) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            if lock(&self.engine).is_handshaking() {
                self.fill(&mut incoming, wait)?;
            }
        }
        self.flush(wait)
    }

    /// Sends what was encrypted already.
    pub(crate) fn flush(&self, wait: Wait) -> io::Result<()> {
        let mut unsent = self.lock_unsent(wait)?;
        self.flush_locked(&mut unsent, wait)
    }

    /// Another thread may wait for room with it.
    fn lock_unsent(&self, wait: Wait) -> io::Result<MutexGuard<'_, (Vec<u8>, usize)>> {
        match self.unsent.try_lock() {
            Ok(unsent) => Ok(unsent),
            Err(TryLockError::WouldBlock) if wait == Wait::Never => Err(io::ErrorKind::WouldBlock.into()),
            Err(_) => Ok(lock(&self.unsent)),
        }
    }

    fn collect(&self, unsent: &mut (Vec<u8>, usize)) {
        let mut engine = lock(&self.engine);
        while engine.wants_write() {
            // Into memory; it cannot fail.
            let _ = engine.write_tls(&mut unsent.0);
        }
    }

    fn flush_locked(&self, unsent: &mut (Vec<u8>, usize), wait: Wait) -> io::Result<()> {
        self.collect(unsent);
        while unsent.1 < unsent.0.len() {
            unsent.1 += local::send(&self.tcp, &unsent.0[unsent.1..], wait)?;
        }
        unsent.0.clear();
        unsent.1 = 0;
        Ok(())
    }

    /// Takes bytes to send once all before them went to the system, and hands were shaken. Without waiting, a bounded
    /// amount is taken before that; it goes then.
    pub(crate) fn send(&self, bytes: &[u8], wait: Wait) -> io::Result<usize> {
        if wait != Wait::Never {
            self.shake_hands(wait)?;
        }
        let mut unsent = self.lock_unsent(wait)?;
        self.flush_locked(&mut unsent, wait)?;
        let piece = &bytes[..bytes.len().min(WRITE_LEN)];
        let mut taken = 0;
        while taken < piece.len() {
            let len = lock(&self.engine).writer().write(&piece[taken..])?;
            self.collect(&mut unsent);
            if len == 0 {
                break;
            }
            taken += len;
        }
        match self.flush_locked(&mut unsent, Wait::Never) {
            Ok(()) => {}
            // Before hands are shaken rustls holds a bounded amount itself.
            Err(_) if taken == 0 => return Err(io::ErrorKind::WouldBlock.into()),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
            Err(cause) => return Err(cause),
        }
        if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    /// Gives the engine some of what arrived; waits for that if there is nothing.
    fn fill(&self, incoming: &mut Incoming, wait: Wait) -> io::Result<()> {
        let at_end = incoming.range.is_empty() && {
            incoming.bytes.resize(READ_LEN, 0);
            let len = self.recv_while_sending(&mut incoming.bytes, wait)?;
            incoming.range = 0..len;
            len == 0
        };
        let mut engine = lock(&self.engine);
        // Not all at once: the engine holds a bounded amount of what it decrypted.
        let mut left = &incoming.bytes[incoming.range.clone()];
        let taken = engine.read_tls(&mut left)?;
        incoming.range.start += taken;
        if let Err(error) = engine.process_new_packets() {
            drop(engine);
            // The peer is told why.
            let _ = self.flush(Wait::Never);
            return Err(failed(error));
        }
        if at_end && engine.is_handshaking() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Receives; what could not go yet goes meanwhile, or both sides might wait for each other.
    fn recv_while_sending(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        loop {
            let mut unsent = lock(&self.unsent);
            match self.flush_locked(&mut unsent, Wait::Never) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock && wait != Wait::Never => {
                    let progress = local::send_or_ready(&self.tcp, &unsent.0[unsent.1..], wait)?;
                    unsent.1 += progress.sent;
                    if !progress.readable {
                        continue;
                    }
                }
                // What the peer said before it went is worth more than that it went.
                _ => {}
            }
            drop(unsent);
            return local::recv(&self.tcp, buffer, wait);
        }
    }

    /// Receives decrypted bytes; 0 when the peer ended its direction.
    pub(crate) fn recv(&self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        let mut incoming = lock(&self.incoming);
        loop {
            match lock(&self.engine).reader().read(buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                }
                result => return result,
            }
            self.fill(&mut incoming, wait)?;
            // What the handshake has to say goes at once.
            match self.flush(Wait::Never) {
                Err(cause) if cause.kind() != io::ErrorKind::WouldBlock => return Err(cause),
                _ => {}
            }
        }
    }

    pub(crate) fn send_or_ready(&self, bytes: &[u8], wait: Wait) -> io::Result<Progress> {
        loop {
            match self.send(bytes, Wait::Never) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock && wait != Wait::Never => {}
                result => return result.map(|sent| Progress { sent, readable: false }),
            }
            let deadline = if let Wait::Until(at) = wait { Some(at) } else { None };
            match local::wait_ready(&self.tcp, Ready { readable: true, writable: true }, deadline)? {
                Ready { readable: true, .. } => return Ok(Progress { sent: 0, readable: true }),
                Ready { writable: true, .. } => {}
                _ => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    pub(crate) fn wait_writable(&self, deadline: Instant) -> io::Result<bool> {
        let interest = Ready { readable: false, writable: true };
        local::wait_ready(&self.tcp, interest, Some(deadline)).map(|ready| ready.writable)
    }

    /// As [`end_sending`](Self::end_sending), without waiting; `false` while there is no room.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(crate) fn try_end_sending(&self) -> io::Result<bool> {
        // Said once, however often.
        lock(&self.engine).send_close_notify();
        match self.flush(Wait::Never) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(cause) => Err(cause),
            Ok(()) => local::end_sending(&self.tcp).map(|()| true),
        }
    }

    /// Tells the peer that nothing more comes.
    pub(crate) fn end_sending(&self) -> io::Result<()> {
        lock(&self.engine).send_close_notify();
        self.flush(Wait::at_most(Duration::from_secs(2)))?;
        local::end_sending(&self.tcp)
    }
}
