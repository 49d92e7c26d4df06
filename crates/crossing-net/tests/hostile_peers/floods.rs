//! Floods of connections.

use super::*;
use crossing_testkit::{Child, role};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;

/// How many connections of one peer are let in.
const LET_IN: usize = 100;
const FLOOD: usize = 1_000;

/// Memory that this process has in use, in bytes, where the system says it.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[test]
#[ignore = "a child process"]
fn role_flooded() {
    let Some(role) = role("floods::role_flooded") else { return };
    let mut options = Listener::options();
    options.max_connections_per_peer(LET_IN).handshake_timeout(PATIENCE);
    let listener = std::sync::Arc::new(options.bind("tcp:0.0.0.0:0").unwrap());
    role.say(listener.endpoint());
    let accepting = std::sync::Arc::clone(&listener);
    thread::spawn(move || {
        loop {
            let (mut stream, _) = accepting.accept().unwrap();
            let serving = move || {
                while let Ok(frame) = stream.recv() {
                    let frame = frame.to_vec();
                    if stream.send(&frame).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().stack_size(128 << 10).spawn(serving).unwrap();
        }
    });
    while let Some(question) = role.hear() {
        match question.as_str() {
            "memory" => role.say(memory().unwrap_or_default()),
            "refused" => role.say(listener.refused_connections()),
            other => panic!("{other}"),
        }
    }
}

/// A connection from the address `from` to `port` of this machine.
fn connected(from: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(from, 0))?;
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(TcpStream::from(socket))
}

/// What a client of Crossing sends first, and with a frame of 8 MiB, of which most never comes.
fn beginnings() -> Vec<u8> {
    let listener = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let mut client = Stream::connect(listener.endpoint()).unwrap();
    let (raw, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
    let mut bytes = vec![0; 64 << 10];
    let mut len = raw.read_timeout(&mut bytes, PATIENCE).unwrap();
    raw.write_all(&bytes[..len]).unwrap();
    client.send_timeout(&[7; 8 << 20], SHORT).unwrap();
    while len < 32 << 10 {
        len += raw.read_timeout(&mut bytes[len..], PATIENCE).unwrap();
    }
    bytes.truncate(len);
    bytes
}

/// A thousand connections of one peer that say nothing, or garbage, or begin long frames: as many as may are let in, they take
/// little memory, and another peer is served at once.
#[test]
fn a_flood_of_connections_takes_bounded_memory_and_others_are_served() {
    let _watchdog = watchdog(4 * PATIENCE);
    let mut server = Child::role("floods::role_flooded").spawn();
    let endpoint = server.expect_line(PATIENCE);
    let port: u16 = endpoint.rsplit(':').next().unwrap().parse().unwrap();
    let attacker = Ipv4Addr::new(127, 0, 0, 2);
    if let Err(cause) = connected(attacker, port) {
        eprintln!("not run, this machine has one address: {cause}");
        return;
    }
    let mut ask = |question: &str| -> u64 {
        server.tell(question);
        server.expect_line(PATIENCE).parse().unwrap()
    };
    let long = beginnings();
    let mut calm = Stream::connect(&format!("tcp:127.0.0.1:{port}")).unwrap();
    let mut is_served = |number: usize| {
        calm.send(&number.to_le_bytes()).unwrap();
        assert_eq!(calm.recv_timeout(PATIENCE).unwrap(), number.to_le_bytes());
    };
    is_served(0);
    let before = ask("memory");
    let mut flood = Vec::new();
    for number in 0..FLOOD {
        let mut stream = connected(attacker, port).unwrap();
        // Whoever is refused may be cut while it writes.
        let _ = match number % 3 {
            0 => std::io::Write::write_all(&mut stream, &long),
            1 => std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n"),
            _ => Ok(()),
        };
        flood.push(stream);
        if number % 50 == 0 {
            is_served(number);
        }
    }
    is_served(FLOOD);
    // Another one that comes in the middle of it.
    let mut late = Stream::connect(&format!("tcp:127.0.0.1:{port}")).unwrap();
    late.send(b"late").unwrap();
    assert_eq!(late.recv_timeout(PATIENCE).unwrap(), b"late");
    let (refused, after) = (ask("refused"), ask("memory"));
    eprintln!(
        "{refused} of {FLOOD} refused; memory {} KiB before, {} KiB after, {} bytes for each that is let in",
        before >> 10,
        after >> 10,
        after.saturating_sub(before) / LET_IN as u64
    );
    // Garbage is closed at once, and makes room for others; whoever is silent or begins a frame stays.
    assert!(refused > 0, "all were let in");
    // What came is kept, not what was announced: 8 MiB times a hundred would be far more. Another program's memory (qemu's) says
    // nothing.
    if std::env::var_os("CROSSING_TEST_RUNNER").is_none() {
        assert!(after < before + (64 << 20), "{before} {after}");
    }
    drop(flood);
    late.send(b"after").unwrap();
    assert_eq!(late.recv_timeout(PATIENCE).unwrap(), b"after");
}
