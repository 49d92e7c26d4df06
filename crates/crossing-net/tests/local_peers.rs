//! Who is at the other end of a local socket: other users, and processes that die.

#![forbid(unsafe_code)]

#[cfg(unix)]
use crossing_net::{Access, Allow};
use crossing_net::{ErrorKind, Listener, RawStream, Stream};
#[cfg(unix)]
use crossing_sys::children::become_user;
use crossing_testkit::{Child, PATIENCE, Role, role, unique_name, watchdog};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(30);

/// A local endpoint of this system, without a file.
fn local() -> String {
    let name = unique_name("crossing-peers");
    if cfg!(windows) { format!("pipe:{name}") } else { format!("unix:@{name}") }
}

fn spawn(role: &str, endpoint: impl ToString) -> Child {
    Child::role(role).argument("endpoint", endpoint.to_string()).spawn()
}

fn connect(role: &Role) -> RawStream {
    Stream::options().connect_timeout(PATIENCE).raw().connect(&role.argument("endpoint")).unwrap()
}

#[test]
#[ignore = "a child process"]
fn role_client() {
    let Some(role) = role("role_client") else { return };
    let _stream = connect(&role);
    role.pause()
}

#[test]
fn the_death_of_a_peer_is_waited_for() {
    let _watchdog = watchdog(2 * PATIENCE);
    let listener = Listener::bind(&local()).unwrap();
    let mut child = spawn("role_client", listener.endpoint());
    let (stream, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
    let process = stream.peer_process().unwrap();
    assert!(process.is_running());
    assert_eq!(process.wait_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    // A stopped one lives.
    child.stop();
    assert!(process.is_running());
    child.resume();
    std::thread::scope(|scope| {
        let waiting = [
            scope.spawn(|| process.wait()),
            scope.spawn(|| process.wait_timeout(PATIENCE)),
            scope.spawn(|| process.wait_deadline(std::time::Instant::now() + PATIENCE)),
        ];
        child.kill();
        for waiting in waiting {
            waiting.join().unwrap().unwrap();
        }
    });
    assert!(!process.is_running());
    // However often it is asked.
    process.wait_timeout(Duration::ZERO).unwrap();
    assert!(!process.is_running());
    // Asked for afterwards, nothing that runs is found, whoever has its id by now.
    match stream.peer_process() {
        Ok(process) => assert!(!process.is_running()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
    }
}

#[cfg(unix)]
#[test]
fn the_death_of_a_peer_is_an_event() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let _watchdog = watchdog(2 * PATIENCE);
    let listener = Listener::bind(&local()).unwrap();
    let mut child = spawn("role_client", listener.endpoint());
    let (stream, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
    let process = stream.peer_process().unwrap();
    let ready = |timeout: Duration| {
        let timeout = Timespec::try_from(timeout).unwrap();
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)).unwrap() == 1
    };
    assert!(!ready(Duration::ZERO));
    child.kill();
    assert!(ready(PATIENCE));
    assert!(!process.is_running());
    // And stays one.
    assert!(ready(Duration::ZERO));
}

#[test]
fn a_client_watches_its_server() {
    let _watchdog = watchdog(2 * PATIENCE);
    let mut child = spawn("role_server", local());
    let endpoint = child.expect_line(PATIENCE);
    let stream = Stream::connect(&endpoint).unwrap();
    let process = stream.peer_process().unwrap();
    assert!(process.is_running());
    child.kill();
    process.wait_timeout(PATIENCE).unwrap();
}

#[test]
#[ignore = "a child process"]
fn role_server() {
    let Some(role) = role("role_server") else { return };
    let listener = Listener::bind(&role.argument("endpoint")).unwrap();
    role.say(listener.endpoint());
    role.pause()
}

#[test]
fn the_network_does_not_tell_which_process_is_there() {
    let listener = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let client = Stream::connect(listener.endpoint()).unwrap();
    let error = client.peer_process().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("unix:PATH"), "{error}");
}

/// Becomes another user and tells what a connection comes to: `in` or `refused`.
#[cfg(unix)]
#[test]
#[ignore = "a child process"]
fn role_other_user() {
    let Some(role) = role("role_other_user") else { return };
    if let Err(cause) = become_user(OTHER, OTHER, &[OTHER_GROUP]) {
        return role.say(cause);
    }
    role.say("ready");
    while let Some(endpoint) = role.hear() {
        let stream = Stream::options().connect_timeout(PATIENCE).raw().connect(&endpoint).unwrap();
        let mut buffer = [0; 8];
        match stream.read_timeout(&mut buffer, PATIENCE) {
            Ok(0) => role.say("refused"),
            Err(error) if error.kind() == ErrorKind::Disconnected => role.say("refused"),
            other => role.say(String::from_utf8_lossy(&buffer[..other.unwrap()])),
        }
    }
}

/// A user and a group that are not this process's.
#[cfg(unix)]
const OTHER: u32 = 65_534;
/// A group beside that one's own.
#[cfg(unix)]
const OTHER_GROUP: u32 = 47_110;

#[cfg(unix)]
#[test]
fn other_users_come_in_only_where_they_are_allowed() {
    let _watchdog = watchdog(4 * PATIENCE);
    let path = std::env::temp_dir().join(unique_name("crossing-peers"));
    let mut child = spawn("role_other_user", "");
    let said = child.expect_line(PATIENCE);
    if said != "ready" {
        eprintln!("skipped: {said}");
        return;
    }
    let cases: [(&[Allow], bool); 8] = [
        (&[], true),
        (&[Allow::same_user()], false),
        (&[Allow::user(OTHER)], true),
        (&[Allow::user(0)], false),
        (&[Allow::group(OTHER)], true),
        (&[Allow::group(OTHER_GROUP)], true),
        (&[Allow::group(OTHER_GROUP + 1), Allow::same_user()], false),
        (&[Allow::when(|who| who.ids() == Some((OTHER, OTHER)))], true),
    ];
    let mut answered = |listener: &Listener, comes_in| {
        child.tell(&listener.endpoint().to_string());
        std::thread::scope(|scope| {
            let accepting = scope.spawn(|| accepts(listener, comes_in));
            child.expect(if comes_in { "in" } else { "refused" });
            accepting.join().unwrap();
        });
    };
    for endpoint in [format!("unix:{}", path.display()), local()] {
        for (rules, comes_in) in &cases {
            eprintln!("{rules:?} at {endpoint}");
            let mut options = Listener::options();
            options.access(Access::World);
            for rule in *rules {
                options.allow(rule.clone());
            }
            answered(&options.bind(&endpoint).unwrap(), *comes_in);
        }
    }
    // A name without a file has no other guard than the listener.
    let listener = Listener::options().allow(Allow::user(OTHER)).bind(&local()).unwrap();
    answered(&listener, false);
}

/// Accepts until the other user was answered or refused.
#[cfg(unix)]
fn accepts(listener: &Listener, comes_in: bool) {
    if comes_in {
        let (stream, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
        stream.write_all_timeout(b"in", PATIENCE).unwrap();
        assert_eq!(listener.refused_connections(), 0);
        return;
    }
    while listener.refused_connections() == 0 {
        assert_eq!(listener.accept_raw_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    assert_eq!(listener.refused_connections(), 1);
}
