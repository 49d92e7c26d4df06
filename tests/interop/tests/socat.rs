//! socat on the other end: raw bytes both ways over TCP and Unix sockets, Crossing as client, as server and between; packets
//! and datagrams.

use crossing_interop_tests::{Place, bytes, until};
use crossing_testkit::{Builder, Child, PATIENCE, build, unique_port};
use std::fs;
use std::process::{Command, Stdio};

/// How long socat waits for one direction after the other ended (half a second unless told).
const WAIT: &str = "-t30";
/// More than a socket holds, and not a multiple of anything.
const LEN: usize = 3_000_017;

/// Says so where there is none.
fn has_socat() -> bool {
    let found = Command::new("socat").arg("-V").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    if !found {
        eprintln!("skipped: no socat here (Debian: socat)");
    }
    found
}

/// An endpoint with what socat calls it as a client and as a server.
struct Socket {
    ours: String,
    connect: String,
    listen: String,
}

impl Socket {
    /// Whether somebody listens, by the kernel's tables.
    fn is_listening(&self) -> bool {
        let table = |name| fs::read_to_string(format!("/proc/net/{name}")).expect("the kernel's table");
        let (kind, rest) = self.ours.split_once(':').unwrap();
        if kind == "unix" {
            return table("unix").lines().any(|line| line.ends_with(rest) && line.contains(" 00010000 "));
        }
        let wanted =
            format!(":{:04X} 00000000:0000 0A ", rest.rsplit(':').next().unwrap().parse::<u16>().unwrap());
        table("tcp").lines().any(|line| line.contains(&wanted))
    }
}

/// A TCP port and a Unix socket.
fn sockets(place: &Place) -> [Socket; 2] {
    let (port, path) = (unique_port(), place.directory().join("socket"));
    let path = path.display();
    [
        Socket {
            ours: format!("tcp:127.0.0.1:{port}"),
            connect: format!("TCP:127.0.0.1:{port},retry=600,interval=0.05"),
            listen: format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr"),
        },
        Socket {
            ours: format!("unix:{path}"),
            connect: format!("UNIX-CONNECT:{path},retry=600,interval=0.05"),
            listen: format!("UNIX-LISTEN:{path}"),
        },
    ]
}

fn socat(place: &Place, args: &[&str]) -> Builder {
    Child::program("socat").directory(place.directory()).arg(WAIT).args(args)
}

/// Every value of a byte, in no order; in the file `in` of the place.
fn data(place: &Place) -> Vec<u8> {
    let mut state = 1_u32;
    let data: Vec<u8> = (0..LEN)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    fs::write(place.directory().join("in"), &data).unwrap();
    data
}

#[test]
fn socat_is_answered() {
    let place = Place::new();
    for socket in sockets(&place).into_iter().filter(|_| has_socat()) {
        let args = ["recv", &socket.ours, "--listen", "--raw", "--reply", "Hello from crossing", "-t", "30s"];
        let server = place.crossing(&args).spawn();
        let mut client = socat(&place, &["-", &socket.connect]).spawn();
        client.tell("Hello from socat");
        assert_eq!(bytes(&client.wait(PATIENCE).success()), b"Hello from crossing");
        assert_eq!(bytes(&server.wait(PATIENCE).success()), b"Hello from socat\n");
    }
}

#[test]
fn socat_answers() {
    let place = Place::new();
    for socket in sockets(&place).into_iter().filter(|_| has_socat()) {
        let server = socat(&place, &[&socket.listen, "EXEC:tr a-z A-Z"]).spawn();
        let args = ["call", &socket.ours, "hello, socat", "--raw", "-t", "30s"];
        let client = place.crossing(&args).run().success();
        assert_eq!(bytes(&client), b"HELLO, SOCAT");
        server.wait(PATIENCE).success();
    }
}

#[test]
fn many_bytes_come_from_socat() {
    let place = Place::new();
    let data = data(&place);
    for socket in sockets(&place).into_iter().filter(|_| has_socat()) {
        let args = ["recv", &socket.ours, "--listen", "--raw", "--raw-output", "-t", "30s"];
        let server = place.crossing(&args).spawn();
        socat(&place, &["-u", "OPEN:in,rdonly", &socket.connect]).run().success();
        assert!(server.wait(PATIENCE).success().stdout == data, "{}: the bytes differ", socket.ours);
    }
}

#[test]
fn many_bytes_go_to_socat() {
    let place = Place::new();
    let data = data(&place);
    for socket in sockets(&place).into_iter().filter(|_| has_socat()) {
        let server = socat(&place, &["-u", &socket.listen, "CREATE:out"]).spawn();
        let command = r#"exec "$0" send "$1" --raw -t 30s < in"#;
        let client = Child::program("sh").directory(place.directory()).args(["-c", command]);
        client.arg(build::crossing()).arg(&socket.ours).run().success();
        server.wait(PATIENCE).success();
        assert!(
            fs::read(place.directory().join("out")).unwrap() == data,
            "{}: the bytes differ",
            socket.ours
        );
    }
}

#[test]
fn a_proxy_between_two_of_them_passes_many_bytes_both_ways() {
    let place = Place::new();
    let data = data(&place);
    if !has_socat() {
        return;
    }
    for turned in [false, true] {
        let [mut front, mut back] = sockets(&place);
        if turned {
            (front, back) = (back, front);
        }
        let echo = socat(&place, &[&back.listen, "EXEC:cat"]).spawn();
        // A proxy does not wait for who is behind it.
        until(&format!("a listener at {}", back.ours), || back.is_listening());
        let args = ["proxy", &front.ours, &back.ours, "-n", "1", "--connect-timeout", "30s"];
        let proxy = place.crossing(&args).spawn();
        socat(&place, &["OPEN:in,rdonly!!CREATE:out", &front.connect]).run().success();
        echo.wait(PATIENCE).success();
        proxy.wait(PATIENCE).success();
        assert!(fs::read(place.directory().join("out")).unwrap() == data, "the bytes differ");
    }
}

/// Packets as socat calls them: SOCK_SEQPACKET.
const PACKETS: &str = "socktype=5";

/// Whether somebody has bound a Unix socket to `path`, by the kernel's table.
fn is_bound(path: &str) -> bool {
    fs::read_to_string("/proc/net/unix").expect("the kernel's table").lines().any(|line| line.ends_with(path))
}

#[test]
fn packets_of_socat_are_received_and_answered() {
    let place = Place::new();
    if !has_socat() {
        return;
    }
    let path = place.directory().join("packets").display().to_string();
    let theirs = format!("UNIX-CONNECT:{path},{PACKETS},retry=600,interval=0.05");
    let args = ["recv", &format!("unix:{path}"), "--type", "seqpacket", "--listen", "-n", "2", "-t", "30s"];
    let server = place.crossing(&args).args(["--reply", "got it\n", "--json"]).spawn();
    let mut client = socat(&place, &["-", &theirs]).spawn();
    // Each read of socat's is a packet.
    for line in ["one", "and two"] {
        client.tell(line);
        assert_eq!(client.line(PATIENCE).expect("an answer"), "got it");
    }
    let printed = server.wait(PATIENCE).success().text();
    let whole: Vec<_> =
        ["\"one\\n\"", "\"and two\\n\""].into_iter().filter(|it| printed.contains(it)).collect();
    assert_eq!((printed.lines().count(), whole.len()), (2, 2), "{printed}");
    client.wait(PATIENCE).success();
}

#[test]
fn packets_go_to_socat_whole() {
    let place = Place::new();
    if !has_socat() {
        return;
    }
    let path = place.directory().join("packets").display().to_string();
    let (ours, theirs) = (format!("unix:{path}"), format!("UNIX-LISTEN:{path},{PACKETS}"));
    // With a buffer that takes all of a packet, which else would be cut.
    let server = socat(&place, &["-b", "200000", "-u", &theirs, "CREATE:out"]).spawn();
    let long = "x".repeat(50_000);
    place.crossing(&["send", &ours, &long, "--type", "seqpacket", "-n", "2", "-t", "30s"]).run().success();
    server.wait(PATIENCE).success();
    assert!(
        fs::read(place.directory().join("out")).unwrap() == long.repeat(2).as_bytes(),
        "the bytes differ"
    );

    let server = socat(&place, &[&theirs, "PIPE"]).spawn();
    let args = ["send", &ours, "hello, socat", "--type", "seqpacket", "--await-reply", "-t", "30s"];
    assert_eq!(bytes(&place.crossing(&args).run().success()), b"hello, socat");
    server.wait(PATIENCE).success();
}

#[test]
fn datagrams_come_from_socat_and_go_to_it() {
    let place = Place::new();
    if !has_socat() {
        return;
    }
    let directory = place.directory().display().to_string();
    let ours = format!("{directory}/ours");
    let args = ["recv", &format!("unix:{ours}"), "--type", "datagram", "-n", "2", "-0", "-t", "30s"];
    let server = place.crossing(&args).spawn();
    until("a receiver of datagrams", || is_bound(&ours));
    for text in ["one", "two"] {
        let mut client = socat(&place, &["-u", "-", &format!("UNIX-SENDTO:{ours}")]).spawn();
        client.tell(text);
        client.wait(PATIENCE).success();
    }
    assert_eq!(server.wait(PATIENCE).success().stdout, b"one\ntwo\n");

    let theirs = format!("{directory}/theirs");
    let receiver = socat(&place, &["-u", &format!("UNIX-RECVFROM:{theirs}"), "-"]).spawn();
    let args = ["send", &format!("unix:{theirs}"), "Hello from crossing", "--type", "datagram", "-t", "30s"];
    place.crossing(&args).run().success();
    assert_eq!(bytes(&receiver.wait(PATIENCE).success()), b"Hello from crossing");

    // And both ways: socat answers to the name that the kernel gave the sender.
    let both = format!("{directory}/both");
    let echo = socat(&place, &[&format!("UNIX-RECVFROM:{both}"), "PIPE"]).spawn();
    let args = ["send", &format!("unix:{both}"), "echo", "--type", "datagram", "--await-reply", "-t", "30s"];
    assert_eq!(bytes(&place.crossing(&args).run().success()), b"echo");
    echo.wait(PATIENCE).success();
}
