//! TLS against rustls by its own blocking streams, with the same certificates and ciphers.

use super::{LARGE, LEN, MIB, Measure, Place, TRIPS, per, swallow};
use crate::table::Target;
use crossing_net::{DevAuthority, Listener, RawStream, Stream, StreamOptions, TlsOptions};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Both sides of both libraries.
struct Ground {
    client: StreamOptions,
    listener: Listener,
    bare_client: Arc<ClientConfig>,
    bare_server: Arc<ServerConfig>,
}

type Bare<C> = StreamOwned<C, TcpStream>;

impl Ground {
    fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("crossing-bench-tls-{}", std::process::id()));
        let authority = DevAuthority::new("bench").expect("authority");
        let day = Duration::from_secs(86_400);
        let issued = authority.issue(&["localhost", "127.0.0.1"], day).expect("issue");
        authority.write(&directory, &[("server", &issued)]).expect("write");
        let (mut server, mut client) = (TlsOptions::new(), TlsOptions::new());
        server.identity(directory.join("server.pem"), directory.join("server.key"));
        client.trust_file(directory.join("ca.pem"));
        let listener = Listener::options().tls(&server).bind("tls:127.0.0.1:0").expect("listen");
        let mut options = Stream::options();
        options.tls(&client);
        // The files are read at the first connection.
        let first = options.raw().connect(listener.endpoint()).expect("connect");
        drop((first, listener.accept_raw()));
        let (bare_client, bare_server) = bare_configs(&directory);
        let _ = std::fs::remove_dir_all(directory);
        Self { client: options, listener, bare_client, bare_server }
    }

    /// Connected, and hands shaken.
    fn raw(&self) -> (RawStream, RawStream) {
        let near = self.client.raw().connect(self.listener.endpoint()).expect("connect");
        let (far, _) = self.listener.accept_raw().expect("accept");
        let answering = thread::spawn(move || {
            far.read(&mut [0]).and_then(|_| far.write_all(&[1])).expect("introduction");
            far
        });
        near.write_all(&[1]).and_then(|()| near.read(&mut [0])).expect("introduction");
        (near, answering.join().expect("the other side"))
    }

    fn framed(&self) -> (Stream, Stream) {
        let mut near = self.client.connect(self.listener.endpoint()).expect("connect");
        let (mut far, _) = self.listener.accept().expect("accept");
        let answering = thread::spawn(move || {
            far.recv().map(drop).and_then(|()| far.send(b"x")).expect("introduction");
            far
        });
        near.send(b"x").and_then(|()| near.recv().map(drop)).expect("introduction");
        (near, answering.join().expect("the other side"))
    }

    fn bare(&self) -> (Bare<ClientConnection>, Bare<ServerConnection>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let near = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        let (far, _) = listener.accept().expect("accept");
        near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).expect("nodelay");
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::clone(&self.bare_client), name).expect("a client");
        let server = ServerConnection::new(Arc::clone(&self.bare_server)).expect("a server");
        let (mut near, mut far) = (StreamOwned::new(client, near), StreamOwned::new(server, far));
        let answering = thread::spawn(move || {
            far.read_exact(&mut [0]).and_then(|()| far.write_all(&[1])).expect("introduction");
            far
        });
        near.write_all(&[1]).and_then(|()| near.read_exact(&mut [0])).expect("introduction");
        (near, answering.join().expect("the other side"))
    }
}

fn bare_configs(directory: &Path) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let certificates = |name: &str| -> Vec<CertificateDer<'static>> {
        let found = CertificateDer::pem_file_iter(directory.join(name)).expect("a file");
        found.collect::<Result<_, _>>().expect("certificates")
    };
    let mut roots = RootCertStore::empty();
    certificates("ca.pem").into_iter().for_each(|one| roots.add(one).expect("an authority"));
    let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).expect("a key");
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let versions = &[&rustls::version::TLS13];
    let client = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions);
    let server = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions);
    let client = client.expect("TLS 1.3").with_root_certificates(roots).with_no_client_auth();
    let server = server.expect("TLS 1.3").with_no_client_auth();
    let server = server.with_single_cert(certificates("server.pem"), key).expect("an identity");
    (Arc::new(client), Arc::new(server))
}

fn raw_trips(ground: &Ground) -> f64 {
    let (near, far) = ground.raw();
    let echo = thread::spawn(move || {
        let mut buffer = [0; LEN];
        while let Ok(LEN) = far.read(&mut buffer) {
            far.write_all(&buffer).expect("write");
        }
    });
    let mut buffer = [1; LEN];
    let time = trips(|| {
        near.write_all(&buffer).expect("write");
        assert_eq!(near.read(&mut buffer).expect("read"), LEN);
    });
    drop(near);
    echo.join().expect("echo");
    time
}

fn framed_trips(ground: &Ground) -> f64 {
    let (mut near, mut far) = ground.framed();
    let echo = thread::spawn(move || {
        let mut buffer = [0; LEN];
        while let Ok(frame) = far.recv() {
            buffer.copy_from_slice(frame);
            far.send(&buffer).expect("send");
        }
    });
    let time = trips(|| {
        near.send(&[1; LEN]).expect("send");
        assert_eq!(near.recv().expect("receive").len(), LEN);
    });
    drop(near);
    echo.join().expect("echo");
    time
}

fn bare_trips(ground: &Ground) -> f64 {
    let (mut near, mut far) = ground.bare();
    let echo = thread::spawn(move || {
        let mut buffer = [0; LEN];
        while far.read_exact(&mut buffer).is_ok() {
            far.write_all(&buffer).expect("write");
        }
    });
    let mut buffer = [1; LEN];
    let time = trips(|| {
        near.write_all(&buffer).expect("write");
        near.read_exact(&mut buffer).expect("read");
    });
    drop(near);
    echo.join().expect("echo");
    time
}

fn trips(mut trip: impl FnMut()) -> f64 {
    (0..100).for_each(|_| trip());
    per(TRIPS, || (0..TRIPS).for_each(|_| trip()))
}

fn framed_one_way(ground: &Ground) -> f64 {
    let (mut near, mut far) = ground.framed();
    let taking = thread::spawn(move || {
        for _ in 0..LARGE {
            assert_eq!(far.recv().expect("receive").len(), MIB);
        }
        far.send(b"x").expect("send");
    });
    let message = vec![1; MIB];
    let time = per(LARGE, || {
        (0..LARGE).for_each(|_| near.send(&message).expect("send"));
        near.recv().expect("receive");
    });
    taking.join().expect("reader");
    time
}

fn bare_one_way(ground: &Ground) -> f64 {
    let (mut near, far) = ground.bare();
    let taking = swallow(Box::new(far), MIB * LARGE as usize, MIB);
    let message = vec![1; MIB];
    let time = per(LARGE, || {
        (0..LARGE).for_each(|_| near.write_all(&message).and_then(|()| near.flush()).expect("write"));
        near.read_exact(&mut [0]).expect("read");
    });
    taking.join().expect("reader");
    time
}

pub fn against_rustls(add: &mut dyn FnMut(String, Target, Measure<'_>, Measure<'_>)) {
    let ground = &Ground::new();
    for place in Place::ALL {
        for (what, ours) in [("raw", raw_trips as fn(&Ground) -> f64), ("framed", framed_trips)] {
            add(
                format!("tls: {what} ping-pong of 64 B, {}, against bare rustls", place.name()),
                Target::AtMost(1.1),
                place.run(move || ours(ground)),
                place.run(move || bare_trips(ground)),
            );
        }
    }
    add(
        "tls: one way 1 MiB, against bare rustls".into(),
        Target::AtMost(1.1),
        Box::new(|| framed_one_way(ground)),
        Box::new(|| bare_one_way(ground)),
    );
}
