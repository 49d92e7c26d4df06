//! Options of sockets that are set before they listen or connect.

use super::*;
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(200);

fn port(listener: &Listener) -> u16 {
    match listener.endpoint() {
        Endpoint::Tcp { port, .. } => *port,
        other => panic!("{other}"),
    }
}

#[test]
fn an_ipv6_listener_serves_ipv4_or_leaves_it_to_others() {
    let _watchdog = watchdog(PATIENCE);
    if let Err(cause) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        eprintln!("not run, this machine has no IPv6: {cause}");
        return;
    }
    let both = Listener::options().dual_stack(true).bind("tcp:[::]:0").unwrap();
    let client = TcpStream::connect(("127.0.0.1", port(&both))).unwrap();
    let (_, peer) = both.accept_raw_timeout(PATIENCE).unwrap();
    let text = format!("[::ffff:127.0.0.1]:{}", client.local_addr().unwrap().port());
    assert_eq!(peer.to_string(), text);

    let one = Listener::options().dual_stack(false).bind("tcp:[::]:0").unwrap();
    let cause = TcpStream::connect(("127.0.0.1", port(&one))).unwrap_err();
    assert_eq!(cause.kind(), std::io::ErrorKind::ConnectionRefused);
    // The port is free for IPv4.
    let other = Listener::bind(&format!("tcp:0.0.0.0:{}", port(&one))).unwrap();
    let _old = TcpStream::connect(("127.0.0.1", port(&one))).unwrap();
    other.accept_raw_timeout(PATIENCE).unwrap();
    let _new = TcpStream::connect((Ipv6Addr::LOCALHOST, port(&one))).unwrap();
    one.accept_raw_timeout(PATIENCE).unwrap();
    // It says nothing about addresses of IPv4.
    Listener::options().dual_stack(true).bind("tcp:127.0.0.1:0").unwrap();
}

/// The names of this machine's network devices, where the system says them.
fn devices() -> Vec<String> {
    // Wine shows the files of the system below.
    let all = std::fs::read_dir("/sys/class/net").into_iter().flatten().filter(|_| !cfg!(windows));
    all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_device_lets_its_own_connections_in_and_no_others() {
    let _watchdog = watchdog(PATIENCE);
    let Some(other) = devices().into_iter().find(|name| name != "lo") else {
        eprintln!("not run, there is no device but lo, or another system");
        return;
    };
    let here = Listener::options().device("lo").bind("tcp:0.0.0.0:0").unwrap();
    let address = format!("tcp:127.0.0.1:{}", port(&here));
    let _client = Stream::options().device("lo").connect_timeout(PATIENCE).connect(&address).unwrap();
    here.accept_timeout(PATIENCE).unwrap();
    // No way from the other device to this machine's loopback.
    let outside = Stream::options().device(&other).connect_timeout(SHORT).connect(&address);
    assert!(outside.is_err(), "{outside:?}");
    assert!(here.try_accept().unwrap().is_none());

    let elsewhere = Listener::options().device(&other).bind("tcp:0.0.0.0:0").unwrap();
    let error = Stream::connect(&format!("tcp:127.0.0.1:{}", port(&elsewhere))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
}

#[test]
fn a_device_that_is_none_is_told() {
    let known = !devices().is_empty();
    let expected = if known { ErrorKind::NotFound } else { ErrorKind::Unsupported };
    let listener = Listener::bind("tcp:127.0.0.1:0").unwrap();
    for error in [
        Listener::options().device("crossing9").bind("tcp:127.0.0.1:0").unwrap_err(),
        Stream::options().device("crossing9").connect(listener.endpoint()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.advice().is_some(), "{error}");
        assert!(!known || error.to_string().contains("crossing9"), "{error}");
    }
    // An empty name would take the binding off, and a NUL byte shorten the name.
    for name in ["", "lo\0x"] {
        let error = Listener::options().device(name).bind("tcp:127.0.0.1:0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    }
    let long = Stream::options().device("a-device-with-16").connect(listener.endpoint()).unwrap_err();
    assert_eq!(long.kind(), ErrorKind::TooLarge { len: 16, max: 15 }, "{long}");
}

#[test]
fn what_local_sockets_do_not_have_is_refused() {
    let local = Endpoint::local(&unique_name("options")).unwrap();
    let listener = Listener::bind(&local).unwrap();
    let device = Listener::options().device("lo").bind(&local).unwrap_err();
    let connecting = Stream::options().device("lo").connect(listener.endpoint()).unwrap_err();
    let owned = Listener::options().owner(0, None).bind("tcp:127.0.0.1:0").unwrap_err();
    for error in [device, connecting, owned] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.advice().is_some(), "{error}");
    }
}

#[cfg(all(unix, not(crossing_os_stub)))] // Windows keeps no port, and has no shared ones
#[test]
fn reuse_is_as_asked_for() {
    let _watchdog = watchdog(PATIENCE);
    let listener = Listener::options().reuse_address(false).bind("tcp:127.0.0.1:0").unwrap();
    let address = listener.endpoint().to_string();
    let _client = Stream::connect(&address).unwrap();
    // A connection that outlives its listener keeps the port.
    let _connection = listener.accept().unwrap();
    drop(listener);
    let error = Listener::options().reuse_address(false).bind(&address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
    let again = Listener::options().bind("tcp:127.0.0.1:0").unwrap();
    let address = again.endpoint().to_string();
    let _client = Stream::connect(&address).unwrap();
    let _connection = again.accept().unwrap();
    drop(again);
    Listener::bind(&address).unwrap();

    let first = Listener::options().reuse_port(true).bind("tcp:127.0.0.1:0").unwrap();
    let address = first.endpoint().to_string();
    assert_eq!(Listener::bind(&address).unwrap_err().kind(), ErrorKind::AddressInUse);
    let second = Listener::options().reuse_port(true).bind(&address).unwrap();
    let clients: Vec<_> = (0..64).map(|_| Stream::connect(&address).unwrap()).collect();
    let count = |listener: &Listener| std::iter::from_fn(|| listener.try_accept().unwrap()).count();
    assert_eq!(count(&first) + count(&second), clients.len());
}

/// What the system says of a connection.
#[cfg(all(unix, not(crossing_os_stub)))]
#[test]
fn options_reach_the_sockets_of_both_sides() {
    use rustix::net::sockopt;
    let _watchdog = watchdog(PATIENCE);
    let usual = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let client = Stream::connect(usual.endpoint()).unwrap();
    let (server, _) = usual.accept_timeout(PATIENCE).unwrap();
    let [buffer, _] = [&client, &server].map(|side| {
        let socket = side.link().descriptor();
        assert!(sockopt::tcp_nodelay(socket).unwrap());
        assert!(!sockopt::socket_keepalive(socket).unwrap());
        sockopt::socket_recv_buffer_size(socket).unwrap()
    });
    let idle = Duration::from_secs(50);
    let (mut listening, mut connecting) = (Listener::options(), Stream::options());
    listening.nodelay(false).keepalive(idle).recv_buffer(20_000).send_buffer(30_000);
    connecting.nodelay(false).keepalive(idle).recv_buffer(20_000).send_buffer(30_000);
    let listener = listening.bind("tcp:127.0.0.1:0").unwrap();
    let client = connecting.connect(listener.endpoint()).unwrap();
    let (server, _) = listener.accept_timeout(PATIENCE).unwrap();
    for side in [&client, &server] {
        let socket = side.link().descriptor();
        assert!(!sockopt::tcp_nodelay(socket).unwrap());
        assert!(sockopt::socket_keepalive(socket).unwrap());
        assert_eq!(sockopt::tcp_keepidle(socket).unwrap(), idle);
        assert_eq!(sockopt::tcp_keepintvl(socket).unwrap(), idle / 10);
        let [received, sent] =
            [sockopt::socket_recv_buffer_size(socket), sockopt::socket_send_buffer_size(socket)]
                .map(Result::unwrap);
        assert!((20_000..buffer).contains(&received), "{received}, usually {buffer}");
        assert!((30_000..buffer.max(100_000)).contains(&sent), "{sent}");
    }
}

#[cfg(windows)]
#[test]
fn a_shared_port_is_refused() {
    let error = Listener::options().reuse_port(true).bind("tcp:127.0.0.1:0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[cfg(all(unix, not(crossing_os_stub)))] // Windows has its own smallest backlog
#[test]
fn a_backlog_holds_as_many_as_it_says() {
    let _watchdog = watchdog(2 * PATIENCE);
    let connect = |listener: &Listener, timeout| {
        Stream::options().connect_timeout(timeout).connect(listener.endpoint())
    };
    let small = Listener::options().backlog(1).bind("tcp:127.0.0.1:0").unwrap();
    let waiting: Vec<_> = (0..6).map_while(|_| connect(&small, SHORT).ok()).collect();
    assert!(waiting.len() < 6, "nobody accepts, and six clients are in a backlog of one");
    let large = Listener::options().backlog(64).bind("tcp:127.0.0.1:0").unwrap();
    let _waiting: Vec<_> = (0..64).map(|_| connect(&large, PATIENCE).unwrap()).collect();
}

#[cfg(all(unix, not(crossing_os_stub)))]
mod owner {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    /// A group that is nobody's on usual machines.
    const OTHER: u32 = 54_321;

    /// A path for a socket, and the user and group that files made here have.
    fn place() -> (PathBuf, u32, u32) {
        let path = std::env::temp_dir().join(unique_name("owner"));
        std::fs::write(&path, []).unwrap();
        let made = std::fs::metadata(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (path, made.uid(), made.gid())
    }

    #[test]
    fn a_socket_file_is_given_to_its_owner() {
        let (path, user, group) = place();
        let endpoint = Endpoint::Unix(LocalName::Path(path.clone()));
        let found = || std::fs::symlink_metadata(&path).unwrap();
        let listener = Listener::options().access(Access::Group).owner(user, group).bind(&endpoint).unwrap();
        assert_eq!((found().uid(), found().gid()), (user, group));
        assert_eq!(found().permissions().mode() & 0o777, 0o660);
        drop(listener);
        let theirs = Listener::options().access(Access::Group).owner(OTHER, OTHER).bind(&endpoint);
        match (user, theirs) {
            (0, theirs) => {
                let listener = theirs.unwrap();
                assert_eq!((found().uid(), found().gid()), (OTHER, OTHER));
                assert_eq!(found().permissions().mode() & 0o777, 0o660);
                let _client = Stream::connect(&endpoint).unwrap();
                listener.accept_timeout(PATIENCE).unwrap();
            }
            (_, theirs) => {
                let error = theirs.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
                assert!(error.to_string().contains("54321"), "{error}");
            }
        }
        assert!(!path.exists(), "the file stays");
        let error = Listener::options().owner(None, u32::MAX).bind(&endpoint).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
        let nameless = Endpoint::Unix(LocalName::Abstract(unique_name("owner")));
        let error = Listener::options().owner(None, group).bind(&nameless).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }

    #[test]
    fn the_first_group_never_has_the_rights_of_the_later_one() {
        let _watchdog = watchdog(PATIENCE);
        let (path, user, group) = place();
        if user != 0 {
            eprintln!("not run: only root may give files to any group");
            return;
        }
        let endpoint = Endpoint::Unix(LocalName::Path(path.clone()));
        let (done, seen) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut early = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    if let Ok(file) = std::fs::symlink_metadata(&path) {
                        seen.fetch_add(1, Ordering::Relaxed);
                        early += u32::from(file.gid() == group && file.permissions().mode() & 0o060 != 0);
                    }
                }
                early
            });
            let mut rounds = 0;
            // On a busy machine the watcher may come late.
            while rounds < 300 || seen.load(Ordering::Relaxed) == 0 {
                drop(Listener::options().access(Access::Group).owner(None, OTHER).bind(&endpoint).unwrap());
                rounds += 1;
            }
            done.store(true, Ordering::Relaxed);
            let early = watcher.join().unwrap();
            let seen = seen.load(Ordering::Relaxed);
            assert_eq!(early, 0, "of {seen} looks");
        });
    }
}
