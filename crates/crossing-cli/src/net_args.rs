//! Flags of every command that uses stream sockets, and the options that follow from them.

use clap::{Args, ValueEnum};
use crossing::net::{Listener, ListenerOptions, Stream, StreamOptions};
#[cfg(feature = "tls")]
use std::path::PathBuf;

/// What a Unix socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SocketType {
    /// Frames or, with --raw, bytes
    #[default]
    Stream,
    /// Whole messages over a connection, with any program (SOCK_SEQPACKET)
    Seqpacket,
    /// Whole messages without a connection, with any program (SOCK_DGRAM)
    Datagram,
}

#[derive(Debug, Clone, Args)]
pub struct NetArgs {
    /// Trust the authorities in this PEM file (tls:); when listening, demand certificates of theirs
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub tls_ca: Option<PathBuf>,
    /// This side's certificate, a PEM file (tls:)
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "TLS")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file (tls:)
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "TLS")]
    pub tls_key: Option<PathBuf>,
    /// The name that the server must prove to have, if it is not the host (tls:)
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    pub tls_name: Option<String>,
    /// Application protocol to agree on (tls:); may be given again
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "PROTOCOL", help_heading = "TLS")]
    pub tls_alpn: Vec<String>,
}

impl NetArgs {
    #[cfg(feature = "tls")]
    fn tls(&self) -> crossing::net::TlsOptions {
        let mut tls = crossing::net::TlsOptions::new();
        if let Some(file) = &self.tls_ca {
            tls.trust_file(file);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            tls.identity(certificate, key);
        }
        if let Some(name) = &self.tls_name {
            tls.server_name(name);
        }
        tls.alpn(&self.tls_alpn.iter().map(String::as_str).collect::<Vec<_>>());
        tls
    }

    /// How to connect.
    pub fn stream(&self) -> StreamOptions {
        #[cfg_attr(not(feature = "tls"), allow(unused_mut))] // nothing to set without it
        let mut options = Stream::options();
        #[cfg(feature = "tls")]
        options.tls(&self.tls());
        options
    }

    /// How to listen.
    pub fn listener(&self) -> ListenerOptions {
        #[cfg_attr(not(feature = "tls"), allow(unused_mut))] // nothing to set without it
        let mut options = Listener::options();
        #[cfg(feature = "tls")]
        options.tls(&self.tls());
        options
    }
}
