//! Streams, sessions, services and TLS against bare reads and writes on the same kind of socket, streams against ZeroMQ, nng and
//! Boost.Asio, services against tonic, Cap'n Proto and iceoryx2.

pub mod echo;
mod peers;
mod running;
pub mod services;
mod tls;

use self::peers::{Library, Peers, Shape};
use crate::table::{Row, Target, compare_by, text};
use crossing_net::{Listener, Service, Session, SessionOptions, Stream};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Instant;

/// Round trips in one measurement, and small messages one way.
const TRIPS: u32 = 4_000;
const SMALL: u32 = 200_000;
const LARGE: u32 = 400;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const LEN: usize = 64;
/// How many small messages `send_many` gets, and hand-coalesced writes take, at once.
const BATCH: usize = 256;

/// Seconds for one operation.
type Measure<'a> = Box<dyn Fn() -> f64 + 'a>;

trait Duplex: Read + Write + Send + 'static {}
impl<T: Read + Write + Send + 'static> Duplex for T {}

fn bare(tcp: bool) -> (Box<dyn Duplex>, Box<dyn Duplex>) {
    if !tcp {
        let (a, b) = UnixStream::pair().expect("socketpair");
        return (Box::new(a), Box::new(b));
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let a = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let (b, _) = listener.accept().expect("accept");
    a.set_nodelay(true).and_then(|()| b.set_nodelay(true)).expect("nodelay");
    (Box::new(a), Box::new(b))
}

fn address(tcp: bool) -> String {
    match tcp {
        true => "tcp:127.0.0.1:0".into(),
        false => format!("unix:@crossing-bench-{}-{:?}", std::process::id(), Instant::now()),
    }
}

fn framed(tcp: bool) -> (Stream, Stream) {
    let listener = Listener::bind(&address(tcp)).expect("listen");
    let mut near = Stream::connect(listener.endpoint()).expect("connect");
    let (mut far, _) = listener.accept().expect("accept");
    near.send(b"x").and_then(|()| far.recv().map(drop)).expect("introduction");
    far.send(b"x").and_then(|()| near.recv().map(drop)).expect("introduction");
    (near, far)
}

fn per(count: u32, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() / f64::from(count)
}

fn bare_trips(tcp: bool, len: usize) -> f64 {
    let (mut near, mut far) = bare(tcp);
    let echo = thread::spawn(move || {
        let mut buffer = vec![0; len];
        while far.read_exact(&mut buffer).is_ok() {
            far.write_all(&buffer).expect("write");
        }
    });
    let mut buffer = vec![1; len];
    let mut trip = || {
        near.write_all(&buffer).expect("write");
        near.read_exact(&mut buffer).expect("read");
    };
    (0..100).for_each(|_| trip());
    let time = per(TRIPS, || (0..TRIPS).for_each(|_| trip()));
    drop(near);
    echo.join().expect("echo");
    time
}

fn framed_trips(tcp: bool, len: usize) -> f64 {
    let (mut near, mut far) = framed(tcp);
    let echo = thread::spawn(move || {
        let mut buffer = vec![0; len];
        while let Ok(frame) = far.recv() {
            buffer.copy_from_slice(frame);
            far.send(&buffer).expect("send");
        }
    });
    let buffer = vec![1; len];
    let mut trip = || {
        near.send(&buffer).expect("send");
        assert_eq!(near.recv().expect("receive").len(), len);
    };
    (0..100).for_each(|_| trip());
    let time = per(TRIPS, || (0..TRIPS).for_each(|_| trip()));
    drop(near);
    echo.join().expect("echo");
    time
}

/// As [`framed_trips`], the one who asks by a sender that gathers.
fn gathering_trips(tcp: bool, len: usize) -> f64 {
    let (near, mut far) = framed(tcp);
    let echo = thread::spawn(move || {
        let mut buffer = vec![0; len];
        while let Ok(frame) = far.recv() {
            buffer.copy_from_slice(frame);
            far.send(&buffer).expect("send");
        }
    });
    let (near, mut back) = near.split().expect("two halves");
    let mut near = near.gathering(64 << 10).expect("a gathering sender");
    let buffer = vec![1; len];
    let mut trip = || {
        near.send(&buffer).expect("send");
        assert_eq!(back.recv().expect("receive").len(), len);
    };
    (0..100).for_each(|_| trip());
    let time = per(TRIPS, || (0..TRIPS).for_each(|_| trip()));
    drop((near, back));
    echo.join().expect("echo");
    time
}

fn session_trips(tcp: bool) -> f64 {
    let options = SessionOptions::default();
    let listener = Listener::options().session(&options).bind(&address(tcp)).expect("listen");
    let mut near: Session =
        Stream::options().session(&options).connect(listener.endpoint()).expect("connect");
    let (mut far, _) = listener.accept().expect("accept");
    let echo = thread::spawn(move || {
        let mut buffer = [0; LEN];
        while let Ok(message) = far.recv() {
            buffer.copy_from_slice(message);
            if far.send(&buffer).is_err() {
                break;
            }
        }
    });
    let buffer = [1; LEN];
    let mut trip = || {
        near.send(&buffer).expect("send");
        near.recv().expect("receive");
    };
    (0..100).for_each(|_| trip());
    let time = per(TRIPS, || (0..TRIPS).for_each(|_| trip()));
    drop(near);
    echo.join().expect("echo");
    time
}

fn service_trips(tcp: bool) -> f64 {
    let server = Service::options().serve(&address(tcp)).expect("serve");
    let client = Service::options().connect(server.endpoint()).expect("connect");
    let serving = thread::spawn(move || {
        while let Ok(request) = server.recv() {
            if request.payload().is_empty() {
                return;
            }
            let payload = request.payload().to_vec();
            let _ = request.reply(&payload);
        }
    });
    let trip = || drop(client.call(&[1; LEN]).expect("call"));
    (0..100).for_each(|_| trip());
    let time = per(TRIPS, || (0..TRIPS).for_each(|_| trip()));
    let _ = client.call(&[]);
    serving.join().expect("server");
    time
}

/// Takes everything, and says when it has `count` times `len` bytes.
fn swallow(mut far: Box<dyn Duplex>, total: usize, piece: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; piece];
        let mut left = total;
        // A long message is put together whole, as whoever wants to use it must.
        while left > 0 && piece >= MIB {
            far.read_exact(&mut buffer).expect("read");
            left -= piece;
        }
        while left > 0 {
            left -= far.read(&mut buffer).expect("read");
        }
        far.write_all(&[1]).expect("write");
    })
}

/// One way by bare writes of `gathered` messages at once.
fn bare_one_way(tcp: bool, len: usize, count: u32, gathered: usize) -> f64 {
    let (mut near, far) = bare(tcp);
    let taking = swallow(far, len * count as usize, (64 << 10).max(len));
    let bytes = vec![1; len * gathered];
    let time = per(count, || {
        for _ in 0..count as usize / gathered {
            near.write_all(&bytes).expect("write");
        }
        near.write_all(&bytes[..len * (count as usize % gathered)]).expect("write");
        near.read_exact(&mut [0]).expect("read");
    });
    taking.join().expect("reader");
    time
}

/// Receives so many frames, and says so.
fn take(mut far: Stream, len: usize, count: u32) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for _ in 0..count {
            assert_eq!(far.recv().expect("receive").len(), len);
        }
        far.send(b"x").expect("send");
    })
}

/// One way, each frame sent by itself by a sender that gathers.
fn gathering_one_way(tcp: bool, len: usize, count: u32) -> f64 {
    let (near, far) = framed(tcp);
    let taking = take(far, len, count);
    let (near, mut back) = near.split().expect("two halves");
    let mut near = near.gathering(256 << 10).expect("a gathering sender");
    let frame = vec![1; len];
    let time = per(count, || {
        (0..count).for_each(|_| near.send(&frame).expect("send"));
        back.recv().expect("receive");
    });
    taking.join().expect("reader");
    time
}

fn framed_one_way(tcp: bool, len: usize, count: u32, gathered: usize) -> f64 {
    let (mut near, far) = framed(tcp);
    let taking = take(far, len, count);
    let frames = vec![vec![1; len]; gathered];
    let time = per(count, || {
        let mut left = count as usize;
        while left > 0 {
            let now = left.min(gathered);
            match &frames[..now] {
                [one] => near.send(one).expect("send"),
                many => near.send_many(many).expect("send"),
            }
            left -= now;
        }
        near.recv().expect("receive");
    });
    taking.join().expect("reader");
    time
}

fn session_one_way(tcp: bool, len: usize, count: u32) -> f64 {
    let options = SessionOptions::default();
    let listener = Listener::options().session(&options).bind(&address(tcp)).expect("listen");
    let mut near = Stream::options().session(&options).connect(listener.endpoint()).expect("connect");
    let (mut far, _) = listener.accept().expect("accept");
    let taking = thread::spawn(move || {
        for _ in 0..count {
            assert_eq!(far.recv().expect("receive").len(), len);
        }
        far.send(b"x").expect("send");
        let _ = far.flush_timeout(std::time::Duration::from_secs(5));
    });
    let message = vec![1; len];
    let time = per(count, || {
        (0..count).for_each(|_| near.send(&message).expect("send"));
        near.recv().expect("receive");
    });
    let _ = near.try_recv();
    taking.join().expect("reader");
    time
}

/// Where both sides run. The time of waking a thread on another core differs much from moment to moment, so the difference
/// that a library makes is seen on one core.
#[derive(Debug, Clone, Copy)]
enum Place {
    OneCore,
    Anywhere,
}

impl Place {
    const ALL: [Self; 2] = [Self::OneCore, Self::Anywhere];

    fn name(self) -> &'static str {
        match self {
            Self::OneCore => "one core",
            Self::Anywhere => "any core",
        }
    }

    /// The measurement there: threads and processes that it starts are there too.
    fn run<'a>(self, measure: impl Fn() -> f64 + Sync + 'a) -> Measure<'a> {
        match self {
            Self::Anywhere => Box::new(measure),
            Self::OneCore => Box::new(move || {
                let pinned = || {
                    crate::topic::pin(0);
                    measure()
                };
                thread::scope(|scope| scope.spawn(pinned).join().expect("measurement"))
            }),
        }
    }
}

/// A size as people write it.
fn size(len: usize) -> &'static str {
    match len {
        LEN => "64 B",
        KIB => "1 KiB",
        65_536 => "64 KiB",
        _ => "1 MiB",
    }
}

/// Streams against libraries of the same purpose.
fn against_libraries(add: &mut dyn FnMut(String, Target, Measure<'_>, Measure<'_>)) {
    let peers = &Peers::new();
    for (tcp, transport) in [(false, "unix"), (true, "tcp")] {
        for &library in peers.built() {
            let name = library.name();
            for (len, place) in [LEN, KIB].into_iter().flat_map(|len| Place::ALL.map(|place| (len, place))) {
                add(
                    format!(
                        "{transport}: framed ping-pong of {}, {}, against {name}",
                        size(len),
                        place.name()
                    ),
                    Target::AtMost(1.0),
                    place.run(move || framed_trips(tcp, len)),
                    place.run(move || peers.run(library, tcp, Shape::Trips, len, TRIPS)),
                );
            }
            // nng takes tens of microseconds for each.
            let small = if library == Library::Nng { SMALL / 20 } else { SMALL };
            let target = || match library {
                Library::ZeroMq => Target::AtMost(0.33),
                _ => Target::None,
            };
            for (gathered, how) in [(1, "send".to_owned()), (BATCH, format!("send_many of {BATCH}"))] {
                add(
                    format!("{transport}: one way 64 B, {how}, against {name}"),
                    target(),
                    Box::new(move || framed_one_way(tcp, LEN, SMALL, gathered)),
                    Box::new(move || peers.run(library, tcp, Shape::Flow, LEN, small)),
                );
            }
            add(
                format!("{transport}: one way 64 B, a gathering sender, against {name}"),
                target(),
                Box::new(move || gathering_one_way(tcp, LEN, SMALL)),
                Box::new(move || peers.run(library, tcp, Shape::Flow, LEN, small)),
            );
            add(
                format!("{transport}: one way 1 MiB, against {name}"),
                Target::None,
                Box::new(move || framed_one_way(tcp, MIB, LARGE, 1)),
                Box::new(move || peers.run(library, tcp, Shape::Flow, MIB, LARGE)),
            );
        }
    }
}

/// All comparisons whose description contains `only`: times, so lower is better.
pub fn rows(rounds: usize, only: Option<&str>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |what: String, target, ours: Measure<'_>, theirs: Measure<'_>| {
        if only.is_none_or(|only| what.contains(only)) {
            eprintln!("{what}");
            rows.push(compare_by(rounds, what, target, text, &mut || ours(), &mut || theirs()));
        }
    };
    for (tcp, name) in [(false, "unix"), (true, "tcp")] {
        let bare_trip = || -> Measure<'_> { Box::new(move || bare_trips(tcp, LEN)) };
        for (len, place) in [LEN, KIB].into_iter().flat_map(|len| Place::ALL.map(|place| (len, place))) {
            add(
                format!(
                    "{name}: framed ping-pong of {}, {}, against bare read and write",
                    size(len),
                    place.name()
                ),
                Target::AtMost(1.05),
                place.run(move || framed_trips(tcp, len)),
                place.run(move || bare_trips(tcp, len)),
            );
        }
        add(
            format!("{name}: session ping-pong of 64 B, against bare read and write"),
            Target::None,
            Box::new(move || session_trips(tcp)),
            bare_trip(),
        );
        add(
            format!("{name}: service call of 64 B, against bare read and write"),
            Target::None,
            Box::new(move || service_trips(tcp)),
            bare_trip(),
        );
        add(
            format!("{name}: one way 64 B, send_many of {BATCH}, against writes coalesced by hand"),
            Target::AtMost(2.0),
            Box::new(move || framed_one_way(tcp, LEN, SMALL, BATCH)),
            Box::new(move || bare_one_way(tcp, LEN, SMALL, BATCH)),
        );
        add(
            format!("{name}: one way 64 B, a gathering sender, against writes coalesced by hand"),
            Target::AtMost(2.0),
            Box::new(move || gathering_one_way(tcp, LEN, SMALL)),
            Box::new(move || bare_one_way(tcp, LEN, SMALL, BATCH)),
        );
        for place in Place::ALL {
            add(
                format!("{name}: ping-pong of 64 B, a gathering sender, {}, against send", place.name()),
                Target::AtMost(1.05),
                place.run(move || gathering_trips(tcp, LEN)),
                place.run(move || framed_trips(tcp, LEN)),
            );
        }
        add(
            format!("{name}: one way 64 B, send, against one bare write each"),
            Target::AtMost(1.1),
            Box::new(move || framed_one_way(tcp, LEN, SMALL, 1)),
            Box::new(move || bare_one_way(tcp, LEN, SMALL, 1)),
        );
        add(
            format!("{name}: one way 64 B, session, against one bare write each"),
            Target::None,
            Box::new(move || session_one_way(tcp, LEN, SMALL)),
            Box::new(move || bare_one_way(tcp, LEN, SMALL, 1)),
        );
        add(
            format!("{name}: one way 1 MiB, against bare write and read"),
            Target::AtMost(1.1),
            Box::new(move || framed_one_way(tcp, MIB, LARGE, 1)),
            Box::new(move || bare_one_way(tcp, MIB, LARGE, 1)),
        );
    }
    against_libraries(&mut add);
    tls::against_rustls(&mut add);
    rows.extend(services::rows(rounds, only));
    rows.extend(echo::rows(rounds, only));
    rows
}
