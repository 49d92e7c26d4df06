//! The roads over sockets: the local socket and TCP with Crossing's frames, and TCP as bytes that any program could read.

use super::event::Through;
use super::role::{PATIENCE, Road};
use crossing::net::{Endpoint, Listener, Peer, RawStream, Stream, ToEndpoint};

/// Longest message.
pub const MAX_LEN: usize = 16 << 10;

/// Bytes before each message on a raw connection: its length, little endian.
const PREFIX: usize = 4;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A connection with frames of Crossing, or without.
enum Connection {
    Framed(Stream),
    Raw(RawStream),
}

/// A socket; the listening side accepts its one connection when it is first used.
pub struct SocketRoad {
    through: Through,
    listener: Option<Listener>,
    connection: Option<Connection>,
    introduced: bool,
}

impl SocketRoad {
    /// Connects; refuses a local socket where another user listens.
    pub fn connect(through: Through, endpoint: &(impl ToEndpoint + ?Sized)) -> Result<Self, String> {
        let mut options = Stream::options();
        options.connect_timeout(PATIENCE);
        let connection = if through == Through::TcpRaw {
            Connection::Raw(options.raw().connect(endpoint).map_err(text)?)
        } else {
            Connection::Framed(options.connect(endpoint).map_err(text)?)
        };
        let road = Self { through, listener: None, connection: Some(connection), introduced: false };
        if let Peer::Local(peer) = road.peer()?
            && !peer.is_same_user()
        {
            return Err(format!("{peer} listens at the local socket, not this user"));
        }
        Ok(road)
    }

    /// Listens, at first without a connection.
    pub fn listen(through: Through, endpoint: &(impl ToEndpoint + ?Sized)) -> Result<Self, String> {
        let listener = Listener::options().bind(endpoint).map_err(text)?;
        Ok(Self { through, listener: Some(listener), connection: None, introduced: false })
    }

    /// Where the other process finds it.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.listener.as_ref().map(Listener::endpoint)
    }

    fn peer(&self) -> Result<Peer, String> {
        match &self.connection {
            Some(Connection::Framed(stream)) => stream.peer().map_err(text),
            Some(Connection::Raw(stream)) => stream.peer().map_err(text),
            None => Err("there is no connection".to_owned()),
        }
    }

    fn connection(&mut self) -> Result<&mut Connection, String> {
        if let (None, Some(listener)) = (&self.connection, &self.listener) {
            let connection = if self.through == Through::TcpRaw {
                Connection::Raw(listener.accept_raw_timeout(PATIENCE).map_err(text)?.0)
            } else {
                Connection::Framed(listener.accept_timeout(PATIENCE).map_err(text)?.0)
            };
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| "there is no connection".to_owned())
    }
}

impl Road for SocketRoad {
    fn through(&self) -> Through {
        self.through
    }

    fn introduce(&mut self) -> Result<Option<Peer>, String> {
        if std::mem::replace(&mut self.introduced, true) {
            return Ok(None);
        }
        self.connection()?;
        self.peer().map(Some)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self.connection()? {
            Connection::Framed(stream) => stream.send_timeout(bytes, PATIENCE).map_err(text),
            Connection::Raw(stream) => {
                let len = u32::try_from(bytes.len()).map_err(text)?;
                let mut whole = Vec::with_capacity(PREFIX + bytes.len());
                whole.extend_from_slice(&len.to_le_bytes());
                whole.extend_from_slice(bytes);
                stream.write_all_timeout(&whole, PATIENCE).map_err(text)
            }
        }
    }

    fn recv(&mut self) -> Result<Vec<u8>, String> {
        match self.connection()? {
            Connection::Framed(stream) => {
                stream.recv_timeout(PATIENCE).map(|frame| frame.to_vec()).map_err(text)
            }
            Connection::Raw(stream) => {
                let mut len = [0; PREFIX];
                read_exact(stream, &mut len)?;
                let len = usize::try_from(u32::from_le_bytes(len)).map_err(text)?;
                if len > MAX_LEN {
                    return Err(format!("the raw connection announces a message of {len} bytes"));
                }
                let mut bytes = vec![0; len];
                read_exact(stream, &mut bytes)?;
                Ok(bytes)
            }
        }
    }

    fn max_len(&self) -> usize {
        MAX_LEN
    }
}

/// A stream keeps no boundaries: one write may arrive in several reads.
fn read_exact(stream: &RawStream, bytes: &mut [u8]) -> Result<(), String> {
    let mut have = 0;
    while have < bytes.len() {
        match stream.read_timeout(&mut bytes[have..], PATIENCE).map_err(text)? {
            0 => return Err(format!("the raw connection ended after {have} of {} bytes", bytes.len())),
            len => have += len,
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
