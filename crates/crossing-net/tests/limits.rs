//! Listeners at the limits: no more files, too many connections of one peer.

#![forbid(unsafe_code)]

use crossing_net::{ErrorKind, Listener, Peer, RawStream, Stream};
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(50);

fn local() -> String {
    let name = unique_name("crossing-limits");
    if cfg!(windows) { format!("pipe:{name}") } else { format!("unix:@{name}") }
}

fn connect(endpoint: &impl ToString) -> RawStream {
    Stream::options().connect_timeout(PATIENCE).raw().connect(&endpoint.to_string()).unwrap()
}

#[test]
fn a_peer_with_too_many_connections_is_refused_and_others_are_not() {
    let _watchdog = watchdog(4 * PATIENCE);
    for endpoint in ["tcp:0.0.0.0:0".to_owned(), local()] {
        let options = Listener::options().max_connections_per_peer(3).clone();
        let listener = options.bind(&endpoint).unwrap();
        let address = listener.endpoint().to_string().replace("0.0.0.0", "127.0.0.1");
        // A pipe has one client waiting at most: it is accepted as it comes.
        let enter = || {
            std::thread::scope(|scope| {
                let connecting = scope.spawn(|| connect(&address));
                let (accepted, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
                (connecting.join().unwrap(), accepted)
            })
        };
        let mut served: Vec<_> = (0..3).map(|_| enter()).collect();
        let refused = std::thread::scope(|scope| {
            let connecting = scope.spawn(|| connect(&address));
            while listener.refused_connections() == 0 {
                let accepted = listener.accept_raw_timeout(SHORT);
                assert_eq!(accepted.unwrap_err().kind(), ErrorKind::TimedOut);
            }
            connecting.join().unwrap()
        });
        let end = refused.read_timeout(&mut [0], PATIENCE);
        assert!(
            matches!(&end, Ok(0)) || end.as_ref().is_err_and(|e| e.kind() == ErrorKind::Disconnected),
            "{end:?}"
        );

        if let Some(port) = address.strip_prefix("tcp:127.0.0.1:") {
            // Another machine, as it were: another address of this one's network.
            let port: u16 = port.parse().unwrap();
            if let Some(other) = from_another_address(port) {
                let (_, peer) = listener.accept_raw_timeout(PATIENCE).unwrap();
                assert!(matches!(peer, Peer::Tcp(from) if from == other.local_addr().unwrap()));
            }
        }
        drop(served.pop());
        served.push(enter());
        for (client, server) in &served {
            client.write_all(b"x").unwrap();
            assert_eq!(server.read_timeout(&mut [0], PATIENCE).unwrap(), 1);
        }
    }
}

/// A connection to `port` of 127.0.0.1 from an address that is not that one.
fn from_another_address(port: u16) -> Option<std::net::TcpStream> {
    let found = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Says which address would be used, and sends nothing.
    found.connect("192.0.2.1:9").ok()?;
    let own = found.local_addr().ok()?.ip();
    let stream = std::net::TcpStream::connect((own, port)).ok()?;
    (stream.local_addr().ok()?.ip() != std::net::Ipv4Addr::LOCALHOST).then_some(stream)
}

#[cfg(unix)] // Windows has no limit of this kind to lower
mod exhausted {
    use super::*;
    use crossing_testkit::{Child, Role, role};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::fs::File;
    use std::sync::Arc;
    use std::thread;
    use std::time::Instant;

    /// How many files the child may have open.
    const FILES: u64 = 64;
    const CLIENTS: usize = 100;

    /// Whether the other side is served: a byte goes there and back.
    fn is_echoed(client: &RawStream, byte: u8) -> bool {
        let mut back = [0];
        client.write_all_timeout(&[byte], PATIENCE).is_ok()
            && client.read_timeout(&mut back, PATIENCE).is_ok_and(|len| len == 1)
            && back == [byte]
    }

    fn echo(stream: &RawStream) {
        let mut buffer = [0; 64];
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..len]).is_err() {
                return;
            }
        }
    }

    /// Processor time of this whole process.
    fn used() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
    }

    fn answer(role: &Role, listener: Option<&Listener>) {
        while let Some(question) = role.hear() {
            match question.as_str() {
                "exhausted?" => role.say(File::open("/dev/null").is_err()),
                "try" => match listener.expect("a blocking one").try_accept_raw() {
                    Ok(found) => role.say(format!("nothing said, connection: {}", found.is_some())),
                    Err(error) => role.say(format!("{:?} {error}", error.kind())),
                },
                "rest" => {
                    let (began, before) = (Instant::now(), used());
                    thread::sleep(Duration::from_secs(1));
                    let (time, load) = (began.elapsed(), used() - before);
                    role.say(load.as_nanos() * 100 / time.as_nanos());
                }
                other => panic!("{other}"),
            }
        }
    }

    #[cfg(feature = "tokio")]
    fn serve_in_tasks(listener: Listener) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = crossing_net::tokio::Listener::from_blocking(listener).unwrap();
            loop {
                let (stream, _) = listener.accept_raw().await.unwrap_or_else(|error| {
                    eprintln!("the listener died: {error}");
                    std::process::exit(9);
                });
                tokio::spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                        if stream.write_all(&buffer[..len]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    }

    #[cfg(not(feature = "tokio"))]
    fn serve_in_tasks(_listener: Listener) {
        unreachable!("there are none");
    }

    #[test]
    #[ignore = "a child process"]
    fn role_server() {
        let Some(role) = role("role_server") else { return };
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(FILES), maximum: limit.maximum }).unwrap();
        let listener = Arc::new(Listener::bind(&role.argument("endpoint")).unwrap());
        role.say(listener.endpoint());
        if role.argument("tasks") == "true" {
            let listener = Arc::into_inner(listener).expect("not shared");
            thread::spawn(move || serve_in_tasks(listener));
            return answer(&role, None);
        }
        let accepting = Arc::clone(&listener);
        thread::spawn(move || {
            loop {
                match accepting.accept_raw() {
                    Ok((stream, _)) => drop(thread::spawn(move || echo(&stream))),
                    Err(error) => {
                        eprintln!("the listener died: {error}");
                        std::process::exit(9);
                    }
                }
            }
        });
        answer(&role, Some(&listener));
    }

    #[test]
    fn a_listener_out_of_files_rests_lives_and_goes_on() {
        let _watchdog = watchdog(8 * PATIENCE);
        for endpoint in ["tcp:127.0.0.1:0".to_owned(), local()] {
            survives(&endpoint, false);
        }
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn a_listener_of_tasks_out_of_files_rests_lives_and_goes_on() {
        let _watchdog = watchdog(8 * PATIENCE);
        for endpoint in ["tcp:127.0.0.1:0".to_owned(), local()] {
            survives(&endpoint, true);
        }
    }

    fn survives(endpoint: &str, tasks: bool) {
        eprintln!("over {endpoint}");
        let child = Child::role("exhausted::role_server").argument("endpoint", endpoint);
        let mut server = child.argument("tasks", tasks.to_string()).spawn();
        let address = server.expect_line(PATIENCE);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(&address)).collect();
        let until = Instant::now() + PATIENCE;
        loop {
            server.tell("exhausted?");
            if server.expect_line(PATIENCE) == "true" {
                break;
            }
            assert!(Instant::now() < until, "{CLIENTS} connections fit into {FILES} files");
            thread::sleep(Duration::from_millis(10));
        }
        let last = clients.pop().unwrap();
        last.write_all(&[2]).unwrap();
        // Who asks without waiting is told what is the matter, and what to do.
        if !tasks {
            server.tell("try");
            let told = server.expect_line(PATIENCE);
            assert!(told.starts_with("LimitReached") && told.contains("ulimit -n"), "{told}");
        }
        // Of one processor, in percent; a loop without rest would use all of it.
        server.tell("rest");
        let load: u64 = server.expect_line(PATIENCE).parse().unwrap();
        eprintln!("{load} % of a processor");
        assert!(load < 50, "{load} %");
        assert!(server.is_running());
        assert!(is_echoed(&clients[0], 1), "an old connection is not served any more");
        assert!(matches!(last.try_read(&mut [0]), Ok(None)), "the last one got in");
        // The first half of them leaves, and all that waited get in.
        clients.drain(..CLIENTS / 2);
        assert!(last.read_timeout(&mut [0], PATIENCE).is_ok(), "it does not accept again");
        assert!(is_echoed(&last, 4));
        for client in &clients {
            assert!(is_echoed(client, 3));
        }
        server.tell("exhausted?");
        assert_eq!(server.expect_line(PATIENCE), "false");
        assert!(server.is_running());
    }
}
