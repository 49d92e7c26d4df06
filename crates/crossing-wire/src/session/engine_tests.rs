use super::*;

const MS: Duration = Duration::from_millis(1);

fn config() -> Config {
    Config { max_message_len: 1_000, dead_after: MS * 90, lost_after: MS * 500, ..Config::default() }
}

/// Moves what each has for the other.
fn exchange(a: &mut Session, b: &mut Session, now: Instant) {
    loop {
        let mut moved = false;
        for _ in 0..2 {
            let bytes = a.output().to_vec();
            if !bytes.is_empty() {
                a.consume(bytes.len(), now);
                b.feed(&bytes, now);
                moved = true;
            }
            std::mem::swap(a, b);
        }
        if !moved {
            break;
        }
    }
}

/// What a client sends first, given to a listener.
fn introduce(client: &mut Session, now: Instant) -> Introduction {
    client.connected(now);
    let bytes = client.output().to_vec();
    client.consume(bytes.len(), now);
    let mut introduction = Introduction::new(&config());
    introduction.space()[..bytes.len()].copy_from_slice(&bytes);
    assert_eq!(introduction.advance(bytes.len()), Ok(Some(client.id())));
    client.feed(&introduction.preamble(), now);
    introduction
}

fn pair(config: Config, now: Instant) -> (Session, Session) {
    let mut client = Session::client(SessionId([1; 16]), config, now);
    let introduction = introduce(&mut client, now);
    let mut server = Session::server(&introduction, config, now).unwrap();
    server.resume(introduction, now).unwrap();
    exchange(&mut client, &mut server, now);
    assert_eq!((client.phase(), server.phase()), (Phase::Up, Phase::Up));
    assert_eq!((client.poll_event(), server.poll_event()), (Some(Event::Connected), Some(Event::Connected)));
    (client, server)
}

fn get(session: &mut Session) -> Option<Vec<u8>> {
    match session.recv() {
        Received::Message(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}

#[test]
fn messages_survive_a_cut_once_each_and_in_order() {
    let now = Instant::now();
    let (mut client, mut server) = pair(config(), now);
    for byte in 0..3 {
        client.send(&[byte]).unwrap();
    }
    // Two of three arrive, the third with its first bytes only.
    let bytes = client.output().to_vec();
    client.consume(bytes.len() - 3, now);
    server.feed(&bytes[..bytes.len() - 3], now);
    client.disconnected(Cause::Cut, now);
    server.disconnected(Cause::Cut, now);
    server.send(b"down").unwrap();
    let introduction = introduce(&mut client, now);
    assert!(!introduction.is_new());
    server.resume(introduction, now).unwrap();
    exchange(&mut client, &mut server, now);
    for byte in 0..3 {
        assert_eq!(get(&mut server), Some(vec![byte]));
    }
    assert_eq!((get(&mut server), get(&mut client)), (None, Some(b"down".to_vec())));
    let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    assert_eq!(events, [Event::Reconnecting(Cause::Cut), Event::Resumed { resent: 0 }]);
    exchange(&mut client, &mut server, now);
    assert!(client.is_drained());
}

#[test]
fn an_idle_session_lives_by_heartbeats_and_a_silent_peer_is_found_in_the_stated_time() {
    let start = Instant::now();
    let (mut client, mut server) = pair(config(), start);
    let mut now = start;
    for _ in 0..1_000 {
        now += MS;
        client.handle_timeout(now);
        server.handle_timeout(now);
        exchange(&mut client, &mut server, now);
    }
    assert_eq!((client.phase(), server.phase()), (Phase::Up, Phase::Up));
    // From here on nothing arrives any more; what is written vanishes.
    let cut_at = now;
    while client.phase() == Phase::Up {
        now = client.next_timeout().unwrap();
        client.handle_timeout(now);
        let len = client.output().len();
        client.consume(len, now);
    }
    assert!(now - cut_at <= MS * 90, "found after {:?}", now - cut_at);
    assert_eq!(client.poll_event(), Some(Event::Reconnecting(Cause::Silent)));
    now = client.next_timeout().unwrap();
    client.handle_timeout(now);
    assert_eq!(client.poll_event(), Some(Event::Lost(Loss::Expired)));
    assert_eq!(client.send(b"x"), Err(SendError::Over));
}

#[test]
fn a_delayed_connection_does_not_push_out_a_later_one() {
    let now = Instant::now();
    let (mut client, mut server) = pair(config(), now);
    client.disconnected(Cause::Cut, now);
    let delayed = introduce(&mut client, now);
    client.disconnected(Cause::NoAnswer, now);
    let later = introduce(&mut client, now);
    server.resume(later, now).unwrap();
    exchange(&mut client, &mut server, now);
    assert_eq!(server.resume(delayed, now), Err(Refusal::Stale));
    assert_eq!((client.phase(), server.phase()), (Phase::Up, Phase::Up));
}

#[test]
fn what_is_kept_and_what_waits_is_bounded() {
    let now = Instant::now();
    let limits = Config { resend_bytes: 1_000, window_bytes: 500, ..config() };
    let (mut client, mut server) = pair(limits, now);
    let taken = (0..100).take_while(|_| client.send(&[0; 36]).is_ok()).count();
    assert_eq!(taken, 10, "36 and 64 bytes each");
    assert_eq!(client.send(&[0; 36]), Err(SendError::Full));
    assert_eq!(client.send(&[0; 1_001]), Err(SendError::TooLarge { max: 1_000 }));
    exchange(&mut client, &mut server, now);
    // The window lets five go; the others go when these were taken.
    assert_eq!((0..100).take_while(|_| get(&mut server).is_some()).count(), 5);
    exchange(&mut client, &mut server, now);
    assert_eq!((0..100).take_while(|_| get(&mut server).is_some()).count(), 5);
    exchange(&mut client, &mut server, now);
    assert!(client.is_drained());
    // One message that is longer than either limit still goes, alone.
    client.send(&[1; 1_000]).unwrap();
    exchange(&mut client, &mut server, now);
    assert_eq!(get(&mut server), Some(vec![1; 1_000]));
}

#[test]
fn both_ends_are_told_and_a_lost_farewell_is_said_again() {
    let now = Instant::now();
    let (mut client, mut server) = pair(config(), now);
    client.send(b"tail").unwrap();
    client.end_sending();
    server.end_sending();
    assert_eq!(client.send(b"more"), Err(SendError::Ended));
    // The client's last words arrive, the server's are lost with the connection.
    exchange(&mut client, &mut server, now);
    assert_eq!(get(&mut server), Some(b"tail".to_vec()));
    assert_eq!(server.recv(), Received::Ended);
    assert_eq!(server.poll_event(), Some(Event::Ended));
    assert!(!client.is_complete());
    client.disconnected(Cause::Cut, now);
    let introduction = introduce(&mut client, now);
    server.resume(introduction, now).unwrap();
    exchange(&mut client, &mut server, now);
    let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    assert_eq!(events.last(), Some(&Event::Ended));
    assert_eq!((client.recv(), server.poll_event()), (Received::Ended, None));
}

#[test]
fn a_session_that_is_dropped_is_lost_to_the_other_side() {
    let now = Instant::now();
    let (mut client, mut server) = pair(config(), now);
    server.send(b"before").unwrap();
    exchange(&mut client, &mut server, now);
    server.abandon();
    exchange(&mut client, &mut server, now);
    assert_eq!(client.poll_event(), Some(Event::Lost(Loss::Abandoned)));
    // What had arrived can still be taken.
    assert_eq!((get(&mut client), get(&mut client)), (Some(b"before".to_vec()), None));
    // And without a connection its client learns it from the listener.
    let (mut client, _) = pair(config(), now);
    client.disconnected(Cause::Cut, now);
    let introduction = introduce(&mut client, now);
    assert_eq!(Session::server(&introduction, config(), now).unwrap_err(), Refusal::Unknown);
    client.feed(&introduction.refuse(Refusal::Unknown), now);
    assert_eq!(client.phase(), Phase::Over);
}

#[test]
fn a_peer_that_breaks_the_rules_loses_its_session() {
    let now = Instant::now();
    let frame = |message: Message<'_>| {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    };
    let open = Open {
        id: SessionId([1; 16]),
        attempt: 9,
        new: true,
        terms: Terms { received: 0, window: 9, dead_after: MS },
    };
    let limits = Config { window_bytes: 200, ..config() };
    let data = |seq| Message::Data { seq, ack: 0, payload: &[7; 36] };
    let cases = [
        (vec![data(1)], DecodeError::WrongNumber { expected: 0, found: 1 }),
        (vec![data(0), data(0)], DecodeError::WrongNumber { expected: 1, found: 0 }),
        (vec![data(0), data(1), data(2)], DecodeError::WindowExceeded),
        (vec![Message::Ack(1)], DecodeError::WrongAck { sent: 0, acked: 1 }),
        (vec![Message::Fin { seq: 0, ack: 0 }, data(1)], DecodeError::AfterEnd),
        (vec![Message::Open(open)], DecodeError::UnexpectedSessionFrame(Kind::Open)),
    ];
    for (frames, error) in cases {
        let (_, mut server) = pair(limits, now);
        for message in frames {
            server.feed(&frame(message), now);
        }
        assert_eq!(server.poll_event(), Some(Event::Lost(Loss::Protocol(error))));
        assert_eq!(server.phase(), Phase::Over);
    }
    // A resumption that claims more than was ever sent.
    let (_, mut server) = pair(limits, now);
    let terms = Terms { received: 5, window: 9, dead_after: MS };
    let mut introduction = Introduction::new(&limits);
    introduction.open = Some(Open { terms, ..open });
    server.resume(introduction, now).unwrap();
    let lost = Event::Lost(Loss::Protocol(DecodeError::WrongAck { sent: 0, acked: 5 }));
    assert_eq!(std::iter::from_fn(|| server.poll_event()).last(), Some(lost));
}
