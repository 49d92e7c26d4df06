use super::*;
use crate::{Endpoint, Listener, Stream, StreamOptions};
use crossing_testkit::proxy::{Fault, FaultProxy, Faults, Random};
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::net::SocketAddr;
use std::thread;

const MS: Duration = Duration::from_millis(1);

fn endpoints() -> Vec<String> {
    let name = unique_name("crossing-session");
    let path = std::env::temp_dir().join(unique_name("crossing-session"));
    let all = ["tcp:127.0.0.1:0".to_owned(), format!("unix:{}", path.display()), format!("pipe:{name}")];
    all.into_iter().filter(|text| text.parse::<Endpoint>().unwrap().is_socket()).collect()
}

fn quick() -> SessionOptions {
    let mut options = SessionOptions::default();
    options.dead_after(300 * MS).lost_after(PATIENCE).backoff(2 * MS, 50 * MS);
    options
}

fn stream() -> StreamOptions {
    let mut options = Stream::options();
    options.handshake_timeout(500 * MS).connect_timeout(PATIENCE);
    options
}

fn pair(endpoint: &str) -> (SessionListener, Session, Session) {
    let listener = Listener::options().session(&quick()).bind(endpoint).unwrap();
    let client = stream().session(&quick()).connect(listener.endpoint()).unwrap();
    let (server, _) = listener.accept_timeout(PATIENCE).unwrap();
    (listener, client, server)
}

/// A session through a proxy; the listener's own endpoint is TCP.
fn proxied(faults: Faults) -> (SessionListener, FaultProxy, Session, Session) {
    proxied_with(faults, &quick())
}

fn proxied_with(faults: Faults, options: &SessionOptions) -> (SessionListener, FaultProxy, Session, Session) {
    let listener = Listener::options().session(options).bind("tcp:127.0.0.1:0").unwrap();
    let Endpoint::Tcp { port, .. } = *listener.endpoint() else { unreachable!() };
    let proxy = FaultProxy::start(SocketAddr::from(([127, 0, 0, 1], port)), faults).unwrap();
    let client = loop {
        match stream().session(options).connect(&format!("tcp:{}", proxy.address())) {
            Ok(client) => break client,
            // The first connection may meet a fault too.
            Err(_) => drop(listener.try_accept()),
        }
    };
    let id = client.core.lock().engine.id();
    let server = loop {
        // An attempt that its client gave up may have come this far.
        let (server, _) = listener.accept_timeout(PATIENCE).unwrap();
        if server.core.lock().engine.id() == id {
            break server;
        }
    };
    (listener, proxy, client, server)
}

const CALM: Faults = Faults { seed: 1, every: PATIENCE, delay: Duration::ZERO, piece: 0, cuts_only: true };

#[test]
fn messages_go_both_ways_over_each_mechanism_and_it_ends_on_both_sides() {
    let _watchdog = watchdog(4 * PATIENCE);
    for endpoint in endpoints() {
        let (_listener, mut client, mut server) = pair(&endpoint);
        for len in [0, 1, 100, 70_000, 1 << 20] {
            let message: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            client.send(&message).unwrap();
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), message, "{endpoint}");
            server.send(&message).unwrap();
            assert_eq!(client.recv_timeout(PATIENCE).unwrap(), message, "{endpoint}");
        }
        client.send(b"tail").unwrap();
        let closing = thread::spawn(move || client.close(PATIENCE));
        assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"tail");
        assert_eq!(server.recv_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Disconnected);
        assert!(server.peer_ended());
        server.close(PATIENCE).unwrap();
        closing.join().unwrap().unwrap();
    }
}

#[test]
fn a_cut_connection_is_replaced_and_the_application_sees_it() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (_listener, proxy, mut client, mut server) = proxied(CALM);
    assert_eq!(client.event_timeout(PATIENCE), Some(SessionEvent::Connected));
    for round in 0..20_u32 {
        client.send(&round.to_le_bytes()).unwrap();
        proxy.cut();
        server.send(&round.to_be_bytes()).unwrap();
        assert_eq!(server.recv_timeout(PATIENCE).unwrap(), round.to_le_bytes());
        assert_eq!(client.recv_timeout(PATIENCE).unwrap(), round.to_be_bytes());
    }
    let events: Vec<_> = std::iter::from_fn(|| client.try_event()).collect();
    assert!(events.contains(&SessionEvent::Reconnecting(SessionCause::Cut)), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, SessionEvent::Resumed { .. })), "{events:?}");
}

/// Whether another program runs this one (qemu), where everything takes ten times as long.
fn is_emulated() -> bool {
    std::env::var_os("CROSSING_TEST_RUNNER").is_some()
}

/// One seeded run: both sides send while the network does its worst; exactly what was sent arrives. How many faults of each kind
/// there were.
fn run(seed: u64) -> [u64; Fault::ALL.len()] {
    let mut random = Random::new(seed);
    // One in eight is long enough for many connections, the others for a few.
    let (long, scale) = if seed.is_multiple_of(8) { (400, 6) } else { (120, 2) };
    let faults = Faults {
        seed,
        every: MS * (3 + random.below(20) as u32) * scale,
        delay: Duration::from_micros(random.below(3_000)),
        piece: if random.below(2) == 0 { 0 } else { 1 + random.below(3_000) as usize },
        cuts_only: random.below(6) == 0,
    };
    let mut options = quick();
    // A connection must live longer than its processes take to say anything: else none ever does.
    options.dead_after(MS * 50 * scale * if is_emulated() { 10 } else { 1 });
    let (_listener, proxy, client, server) = proxied_with(faults, &options);
    let until = Instant::now() + MS * long;
    let work = |mut session: Session, side: u64| {
        thread::spawn(move || {
            let mut random = Random::new(seed ^ side);
            let (mut sent, mut got) = (0_u64, 0_u64);
            while Instant::now() < until {
                for _ in 0..random.below(20) {
                    let mut message = sent.to_le_bytes().to_vec();
                    message.resize(8 + random.below(2_000) as usize, sent as u8);
                    match session.send_timeout(&message, MS) {
                        Ok(()) => sent += 1,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "seed {seed}: {error}"),
                    }
                }
                loop {
                    match session.try_recv() {
                        Ok(Some(message)) => check(message, &mut got, seed),
                        Ok(None) => break,
                        Err(error) => {
                            assert!(session.peer_ended(), "seed {seed}, side {side}: {error}");
                            break;
                        }
                    }
                }
                thread::sleep(MS * random.below(10) as u32);
            }
            session.end_sending();
            loop {
                match session.recv_timeout(PATIENCE) {
                    Ok(message) => check(message, &mut got, seed),
                    Err(error) => {
                        assert!(session.peer_ended(), "seed {seed}, side {side}: {error}");
                        break;
                    }
                }
            }
            session.close(PATIENCE).unwrap_or_else(|error| panic!("seed {seed}, side {side}: {error}"));
            (sent, got)
        })
    };
    let sides = [work(client, 1), work(server, 2)];
    thread::sleep(MS * (long + 100));
    proxy.calm_down();
    let [(sent, theirs), (back, ours)] = sides.map(|side| side.join().unwrap());
    assert_eq!((sent, back), (ours, theirs), "seed {seed}");
    proxy.met()
}

fn check(message: &[u8], got: &mut u64, seed: u64) {
    assert_eq!(message[..8], got.to_le_bytes(), "seed {seed}");
    assert!(message[8..].iter().all(|byte| *byte == *got as u8), "seed {seed}");
    *got += 1;
}

fn runs(seeds: std::ops::Range<u64>) {
    let _watchdog = watchdog(PATIENCE * 60);
    let (all, at_once) = (seeds.end - seeds.start, if cfg!(windows) || is_emulated() { 20 } else { 40 });
    let mut met = [0; Fault::ALL.len()];
    let mut seeds = seeds.peekable();
    while seeds.peek().is_some() {
        let batch: Vec<_> =
            seeds.by_ref().take(at_once).map(|seed| thread::spawn(move || run(seed))).collect();
        for run in batch {
            let of_run = run.join().unwrap();
            met.iter_mut().zip(of_run).for_each(|(all, more)| *all += more);
        }
    }
    let kinds: Vec<_> =
        Fault::ALL.iter().zip(met).map(|(fault, times)| format!("{fault:?} {times}")).collect();
    eprintln!("{all} runs, {} faults: {}", met.iter().sum::<u64>(), kinds.join(", "));
    assert!(
        met.iter().all(|times| *times > all / 10),
        "the network was too kind to show anything: {kinds:?}"
    );
}

/// Thousands, here and in the simulation of the engine (`crossing-wire`); fewer where a thread costs many times as much (Wine, qemu).
#[test]
fn thousands_of_seeded_runs_through_a_bad_network_deliver_exactly_what_was_sent() {
    runs(0..if cfg!(windows) || is_emulated() { 200 } else { 2_000 });
}

/// `cargo test -p crossing-net --release -- --ignored tens_of_thousands`
#[test]
#[ignore = "takes minutes"]
fn tens_of_thousands_of_seeded_runs_through_a_bad_network() {
    runs(10_000..30_000);
}

#[test]
fn an_idle_session_stays_and_one_whose_server_is_gone_is_lost_in_the_stated_time() {
    let _watchdog = watchdog(2 * PATIENCE);
    let listener = Listener::options().session(&quick()).bind("tcp:127.0.0.1:0").unwrap();
    let mut options = quick();
    options.lost_after(400 * MS);
    let mut client = stream().session(&options).connect(listener.endpoint()).unwrap();
    let (server, _) = listener.accept_timeout(PATIENCE).unwrap();
    thread::sleep(900 * MS);
    assert_eq!(client.try_event(), Some(SessionEvent::Connected));
    assert_eq!((client.try_event(), client.is_connected()), (None, true));
    // The listener is gone: nothing can be resumed.
    drop(listener);
    drop(server);
    let error = client.recv_timeout(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.to_string().contains("dropped"), "{error}");
    let events: Vec<_> = std::iter::from_fn(|| client.try_event()).collect();
    assert_eq!(events.last(), Some(&SessionEvent::Lost(SessionLoss::Abandoned)), "{events:?}");
}

/// The way between them is gone for longer than a session lives without a connection: both sides see each step.
#[test]
fn a_session_without_a_way_is_lost_on_both_sides_and_each_step_is_an_event() {
    let _watchdog = watchdog(2 * PATIENCE);
    let mut options = quick();
    options.lost_after(400 * MS);
    let (_listener, proxy, mut client, mut server) = proxied_with(CALM, &options);
    client.send(b"there").unwrap();
    assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"there");
    drop(proxy);
    for session in [&mut client, &mut server] {
        let error = session.recv_timeout(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        assert!(session.send(b"late").is_err() && !session.is_connected());
        let events: Vec<_> = std::iter::from_fn(|| session.try_event()).collect();
        assert_eq!(events.first(), Some(&SessionEvent::Connected), "{events:?}");
        assert!(matches!(events[1], SessionEvent::Reconnecting(_)), "{events:?}");
        assert_eq!(events.last(), Some(&SessionEvent::Lost(SessionLoss::Expired)), "{events:?}");
    }
}

#[test]
fn a_black_hole_is_found_in_the_stated_time() {
    let _watchdog = watchdog(2 * PATIENCE);
    let listener = Listener::options().session(&quick()).bind("tcp:127.0.0.1:0").unwrap();
    let client = stream().session(&quick()).connect(listener.endpoint()).unwrap();
    let (server, _) = listener.accept_timeout(PATIENCE).unwrap();
    assert_eq!(client.event_timeout(PATIENCE), Some(SessionEvent::Connected));
    // The server's side is stopped under its lock, so that it neither reads nor beats.
    let held = server.core.lock();
    let since = Instant::now();
    let event = client.event_timeout(PATIENCE);
    assert_eq!(event, Some(SessionEvent::Reconnecting(SessionCause::Silent)));
    assert!(since.elapsed() < 800 * MS, "{:?}", since.elapsed());
    drop(held);
    let event = client.event_timeout(PATIENCE);
    assert!(matches!(event, Some(SessionEvent::Resumed { .. })), "{event:?}");
}

#[test]
fn a_listener_has_no_more_sessions_than_it_may_and_says_so() {
    let _watchdog = watchdog(2 * PATIENCE);
    let mut options = quick();
    options.max_sessions(2).lost_after(300 * MS);
    let listener = Listener::options().session(&options).bind("tcp:127.0.0.1:0").unwrap();
    let connect = || stream().session(&quick()).connect(listener.endpoint());
    let (one, two) = (connect().unwrap(), connect().unwrap());
    let error = connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("as many sessions"), "{error}");
    drop((one, two));
    drop((listener.accept_timeout(PATIENCE).unwrap(), listener.accept_timeout(PATIENCE).unwrap()));
    // What is over makes room.
    let since = Instant::now();
    while connect().is_err() {
        assert!(since.elapsed() < PATIENCE);
        thread::sleep(20 * MS);
    }
}

#[test]
fn plain_streams_and_garbage_are_refused_and_others_do_not_notice() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (listener, client, mut server) = pair("tcp:127.0.0.1:0");
    let mut plain = Stream::connect(listener.endpoint()).unwrap();
    let error = plain.recv_timeout(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.to_string().contains("session"), "{error}");
    for _ in 0..50 {
        let raw = Stream::options().raw().connect(listener.endpoint()).unwrap();
        let _ = raw.write_all_timeout(b"GET / HTTP/1.1\r\n\r\n", PATIENCE);
    }
    client.send(b"still here").unwrap();
    assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"still here");
    // And a session with a listener of plain streams.
    let listener = Listener::bind("tcp:127.0.0.1:0").unwrap();
    let endpoint = listener.endpoint().clone();
    let connecting = thread::spawn(move || stream().session(&quick()).connect(&endpoint));
    let (mut accepted, _) = listener.accept_timeout(PATIENCE).unwrap();
    assert_eq!(accepted.recv_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Incompatible);
    let error = connecting.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.to_string().contains("plain stream"), "{error}");
}

#[test]
fn it_resumes_over_each_mechanism() {
    let _watchdog = watchdog(4 * PATIENCE);
    for endpoint in endpoints() {
        let (_listener, mut client, mut server) = pair(&endpoint);
        for round in 0..10_u8 {
            let breaks = if round % 2 == 0 { &client } else { &server };
            let mut state = breaks.core.lock();
            state.engine.disconnected(SessionCause::Cut, Instant::now());
            breaks.core.flush(&mut state);
            drop(state);
            client.send(&[round]).unwrap();
            server.send(&[round, round]).unwrap();
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), [round], "{endpoint}");
            assert_eq!(client.recv_timeout(PATIENCE).unwrap(), [round, round], "{endpoint}");
        }
        let events: Vec<_> = std::iter::from_fn(|| client.try_event()).collect();
        let resumed = events.iter().filter(|event| matches!(event, SessionEvent::Resumed { .. })).count();
        assert!(resumed >= 9, "{endpoint}: {events:?}");
    }
}

#[test]
fn several_threads_send_in_one_session_while_another_receives() {
    let _watchdog = watchdog(2 * PATIENCE);
    let (_listener, proxy, mut client, mut server) = proxied(CALM);
    let senders: Vec<_> = (0..4_u8)
        .map(|thread| {
            let sender = client.sender();
            thread::spawn(move || (0..200_u8).for_each(|number| sender.send(&[thread, number]).unwrap()))
        })
        .collect();
    let echo = thread::spawn(move || {
        for round in 0..800 {
            if round % 100 == 50 {
                proxy.cut();
            }
            let message = server.recv_timeout(PATIENCE).unwrap().to_vec();
            server.send(&message).unwrap();
        }
        server.flush_timeout(PATIENCE).unwrap();
        (server, proxy)
    });
    let mut next = [0_u8; 4];
    for _ in 0..800 {
        let message = client.recv_timeout(PATIENCE).unwrap();
        let [thread, number] = *message else { panic!("{message:?}") };
        assert_eq!(number, next[usize::from(thread)], "in the order of each thread");
        next[usize::from(thread)] += 1;
    }
    // The acknowledgement of the last goes when nothing more is there to take.
    assert!(client.try_recv().unwrap().is_none());
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let sender = client.sender();
    drop(echo.join().unwrap());
    drop(client);
    assert_eq!(sender.send(b"x").unwrap_err().kind(), ErrorKind::Disconnected);
}
