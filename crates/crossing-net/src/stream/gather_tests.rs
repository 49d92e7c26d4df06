use crate::tests::{connected, over_each, pattern};
use crate::{ErrorKind, GatheringSender, RecvHalf, Stream};
use crossing_testkit::PATIENCE;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);

/// A sender that gathers so much, what its process receives by, and the peer.
fn gathering(endpoint: &str, max_gathered: usize) -> (GatheringSender, RecvHalf, Stream) {
    let (client, server) = connected(endpoint);
    let (sending, receiving) = client.split().unwrap();
    (sending.gathering(max_gathered).unwrap(), receiving, server)
}

/// Frames of every kind of length, each of which tells its number.
fn frame(number: usize) -> Vec<u8> {
    let len = match number % 997 {
        0 => 9_000,
        500 => 70_000,
        small => small % 150,
    };
    let mut frame = number.to_le_bytes().to_vec();
    frame.extend(pattern(len));
    frame
}

#[test]
fn every_frame_of_a_flood_arrives_in_its_order() {
    over_each(|endpoint| {
        const COUNT: usize = 20_000;
        for max_gathered in [1, 1000, 256 << 10] {
            let (mut sending, mut receiving, mut server) = gathering(endpoint, max_gathered);
            let reader = thread::spawn(move || {
                for number in 0..COUNT {
                    assert!(server.recv().unwrap() == frame(number), "{number}");
                }
                server.send(b"all").unwrap();
            });
            for number in 0..COUNT {
                sending.send(&frame(number)).unwrap();
            }
            assert_eq!(receiving.recv_timeout(PATIENCE).unwrap(), b"all");
            sending.flush_deadline(Instant::now() + PATIENCE).unwrap();
            assert_eq!(sending.gathered(), 0);
            reader.join().unwrap();
        }
    });
}

#[test]
fn a_frame_that_comes_alone_is_with_the_system_at_once() {
    over_each(|endpoint| {
        let (mut sending, mut receiving, mut server) = gathering(endpoint, 1 << 16);
        for number in 0..20 {
            let frame = frame(number);
            sending.send(&frame).unwrap();
            assert_eq!(sending.gathered(), 0, "nothing waits for the other thread");
            assert!(server.recv_timeout(PATIENCE).unwrap() == frame);
            server.send(b"answer").unwrap();
            assert_eq!(receiving.recv_timeout(PATIENCE).unwrap(), b"answer");
            // Whatever the clock shows: this one does not follow closely.
            thread::sleep(Duration::from_millis(1));
        }
    });
}

#[test]
fn what_is_gathered_is_bounded_and_each_wait_ends_as_told() {
    over_each(|endpoint| {
        const MAX: usize = 10_000;
        let (mut sending, _receiving, mut server) = gathering(endpoint, MAX);
        let mut sent = 0;
        // Until neither the system nor the sender has room, though time goes by.
        loop {
            while sending.try_send(&frame(sent)).unwrap() {
                sent += 1;
                // One of 70 KiB may be on its way by itself.
                assert!(sending.gathered() <= 2 * MAX + 70_100, "{}", sending.gathered());
            }
            match sending.send_timeout(&frame(sent), SHORT) {
                Ok(()) => sent += 1,
                Err(error) => break assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
            }
        }
        if let Err(late) = sending.flush_deadline(Instant::now() + SHORT) {
            assert_eq!(late.kind(), ErrorKind::TimedOut, "{late}");
        }
        let reader = thread::spawn(move || {
            for number in 0..sent + 2 {
                assert!(server.recv().unwrap() == frame(number), "{number} of {sent}");
            }
            server
        });
        sending.send(&frame(sent)).unwrap();
        sending.send(&frame(sent + 1)).unwrap();
        sending.flush_deadline(None).unwrap();
        assert_eq!(sending.gathered(), 0);
        reader.join().unwrap();
    });
}

#[test]
fn dropping_lets_go_what_was_gathered_and_the_half_comes_back_with_everything_sent() {
    over_each(|endpoint| {
        const COUNT: usize = 3000;
        for back in [false, true] {
            let (mut sending, receiving, mut server) = gathering(endpoint, 1 << 20);
            let reader = thread::spawn(move || {
                for number in 0..COUNT {
                    assert!(server.recv().unwrap() == frame(number), "{number}");
                }
                let end = server.recv().unwrap_err();
                assert_eq!(end.kind(), ErrorKind::Disconnected, "{end}");
                server.peer_ended()
            });
            for number in 0..COUNT {
                sending.send(&frame(number)).unwrap();
            }
            if back {
                sending.into_inner(Instant::now() + PATIENCE).unwrap().close(receiving).unwrap();
            } else {
                drop(sending);
                drop(receiving);
            }
            assert_eq!(reader.join().unwrap(), back, "ended, or cut behind the last frame");
        }
    });
}

#[test]
fn dropping_waits_a_while_for_a_peer_that_does_not_read_and_not_for_ever() {
    over_each(|endpoint| {
        let (mut sending, receiving, mut server) = gathering(endpoint, 10_000);
        let mut sent = 0;
        while sending.try_send(&frame(sent)).unwrap() || sending.send_timeout(&frame(sent), SHORT).is_ok() {
            sent += 1;
        }
        drop(sending);
        drop(receiving);
        // What the system had arrives, in order, and then the connection is cut.
        for number in 0..=sent {
            match server.recv_timeout(PATIENCE) {
                Ok(got) => assert!(number < sent && got == frame(number), "{number} of {sent}"),
                Err(end) => {
                    assert_eq!(end.kind(), ErrorKind::Disconnected, "{end}");
                    break;
                }
            }
        }
    });
}

#[test]
fn a_peer_that_goes_is_told_and_holds_nobody_up() {
    over_each(|endpoint| {
        let (mut sending, receiving, server) = gathering(endpoint, 1 << 20);
        drop(server);
        let begun = Instant::now();
        let error = loop {
            if let Err(error) = sending.send(&[7; 1000]) {
                break error;
            }
            assert!(begun.elapsed() < PATIENCE, "nobody tells that the peer is gone");
        };
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        let again = [sending.send(b"x").unwrap_err(), sending.flush_deadline(None).unwrap_err()];
        assert!(again.iter().all(|error| error.kind() == ErrorKind::Disconnected), "{again:?}");
        assert!(sending.into_inner(None).is_err());
        drop(receiving);
    });
}

#[test]
fn what_never_fits_and_what_makes_no_sense_is_refused() {
    over_each(|endpoint| {
        let both = connected(endpoint);
        let error = both.0.split().unwrap().0.gathering(0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiMisuse);
        drop(both.1);
        let listener = crate::Listener::options().max_frame_len(100).bind(endpoint).unwrap();
        let client = Stream::connect(listener.endpoint()).unwrap();
        let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
        let mut sending = client.split().unwrap().0.gathering(1 << 16).unwrap();
        for _ in 0..50 {
            for len in [101, 20_000] {
                let error = sending.send(&vec![0; len]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TooLarge { len: len as u64, max: 100 });
            }
            sending.send(&[1; 100]).unwrap();
            sending.send(&[2; 100]).unwrap();
        }
        for _ in 0..50 {
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), [1; 100]);
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), [2; 100]);
        }
    });
}
