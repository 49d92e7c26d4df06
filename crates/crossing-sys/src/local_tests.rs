//! What holds of local sockets on every system.

use super::*;
use std::thread;

pub(super) const LONG: Duration = Duration::from_secs(30);

/// Says `text` over a new connection and expects it at the listener.
pub(super) fn exchange(listener: &LocalListener, text: &str) {
    let client = LocalStream::connect(listener.name(), Wait::at_most(LONG)).unwrap();
    let (server, _) = listener.accept(Wait::at_most(LONG)).unwrap();
    send(&client, text.as_bytes(), Wait::Forever).unwrap();
    let mut buffer = [0; 64];
    let len = recv(&server, &mut buffer, Wait::Forever).unwrap();
    assert_eq!(&buffer[..len], text.as_bytes());
}

#[test]
fn waits_of_a_connection_end_when_they_should() {
    let soon = || Wait::at_most(Duration::from_millis(20));
    let (left, right) = LocalStream::pair().unwrap();
    let mut buffer = vec![0; 1 << 16];
    assert_eq!(recv(&left, &mut buffer, Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(recv(&left, &mut buffer, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    while send(&right, &buffer, Wait::Never).is_ok() {}
    assert_eq!(send(&right, &buffer, Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(send(&right, &buffer, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    let mut progress = send_or_ready(&right, &buffer, Wait::Never).unwrap_err();
    assert_eq!(progress.kind(), io::ErrorKind::WouldBlock);
    progress = send_or_ready(&right, &buffer, soon()).unwrap_err();
    assert_eq!(progress.kind(), io::ErrorKind::TimedOut);
    let input = Ready { readable: true, writable: false };
    assert_eq!(wait_ready(&right, input, Some(Instant::now())).unwrap(), Ready::default());
    assert_eq!(wait_ready(&left, input, None).unwrap(), input);
    // What may be sent ends when there is something to receive.
    send(&left, b"x", Wait::Never).unwrap();
    let progress = send_or_ready(&right, &buffer, Wait::Forever).unwrap();
    assert_eq!(progress, Progress { sent: 0, readable: true });
    if cfg!(windows) {
        return; // A pipe cannot be asked for room.
    }
    let both = Ready { readable: true, writable: true };
    let ready = wait_ready(&right, both, Some(Instant::now())).unwrap();
    assert_eq!(ready, input);
    let ready = wait_ready(&left, both, None).unwrap();
    assert_eq!(ready, both);
}

#[test]
fn an_ended_and_a_closed_peer_are_seen() {
    let (left, right) = LocalStream::pair().unwrap();
    end_sending(&left).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(recv(&right, &mut buffer, Wait::Forever).unwrap(), 0);
    send(&right, b"still", Wait::Forever).unwrap();
    assert_eq!(recv(&left, &mut buffer, Wait::Forever).unwrap(), 5);
    drop(left);
    let error = send(&right, b"gone", Wait::Forever).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn access_decides_about_credentials() {
    let stranger =
        Credentials { process_id: None, ids: Some((1, 1)), sid: None, same_user: false, same_group: false };
    let colleague = Credentials { same_group: true, ..stranger };
    let own = Credentials { same_user: true, ..stranger };
    let allowed =
        |who: Credentials| [Access::Private, Access::Group, Access::World].map(|a| who.is_allowed(a));
    assert_eq!(allowed(stranger), [false, false, true]);
    assert_eq!(allowed(colleague), [false, true, true]);
    assert_eq!(allowed(own), [true, true, true]);
}

#[test]
fn handles_cross_and_work() {
    let (left, right) = LocalStream::pair().unwrap();
    let (near, far) = LocalStream::pair().unwrap();
    let far = far.into_handle();
    let sent = left.send_with_handles(b"take it", &[&far, &far], Wait::Forever).unwrap();
    assert_eq!(sent, 7);
    drop(far);
    let (mut buffer, mut handles) = ([0; 16], Vec::new());
    let len = right.recv_with_handles(&mut buffer, &mut handles, 2, Wait::Forever).unwrap();
    assert_eq!((&buffer[..len], handles.len()), (&b"take it"[..], 2));
    #[cfg(unix)]
    assert!(rustix::io::fcntl_getfd(&handles[0]).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    handles.truncate(1);
    let far = LocalStream::from_handle(handles.remove(0));
    send(&far, b"hello", Wait::Forever).unwrap();
    assert_eq!(recv(&near, &mut buffer, Wait::Forever).unwrap(), 5);
    drop(far);
    // All copies are closed now, or this would wait.
    assert_eq!(recv(&near, &mut buffer, Wait::at_most(LONG)).unwrap(), 0);
}

#[test]
fn more_handles_than_allowed_are_refused_and_closed() {
    let (left, right) = LocalStream::pair().unwrap();
    let (near, far) = LocalStream::pair().unwrap();
    let far = far.into_handle();
    let many = vec![&far; MAX_HANDLES + 1];
    let error = left.send_with_handles(b"x", &many, Wait::Forever).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(
        left.send_with_handles(b"", &[], Wait::Forever).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    left.send_with_handles(b"x", &many[..MAX_HANDLES], Wait::Forever).unwrap();
    drop(far);
    let (mut buffer, mut handles) = ([0; 16], Vec::new());
    let error = right.recv_with_handles(&mut buffer, &mut handles, 3, Wait::Forever).unwrap_err();
    assert_eq!((error.kind(), handles.len()), (io::ErrorKind::InvalidData, 0));
    assert_eq!(recv(&near, &mut buffer, Wait::at_most(LONG)).unwrap(), 0);
}

#[test]
fn handles_that_nobody_asks_for_are_closed() {
    let (left, right) = LocalStream::pair().unwrap();
    let (near, far) = LocalStream::pair().unwrap();
    let far = far.into_handle();
    assert_eq!(left.send_with_handles(b"hello", &[&far], Wait::Forever).unwrap(), 5);
    drop(far);
    let mut buffer = [0; 3];
    assert_eq!(recv(&right, &mut buffer, Wait::Forever).unwrap(), 3);
    assert_eq!(&buffer, b"hel");
    assert_eq!(recv(&right, &mut buffer, Wait::Never).unwrap(), 2);
    assert_eq!(&buffer[..2], b"lo");
    assert_eq!(recv(&near, &mut buffer, Wait::at_most(LONG)).unwrap(), 0);
}

/// Numbers that look random, from a seed.
fn noise(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// Nothing is lost, doubled or reordered by waits that end at any moment, whatever the lengths on both sides.
#[test]
fn waits_that_end_lose_no_byte() {
    const TOTAL: usize = 3 << 20;
    let byte = |at: usize| (at * 7 + at / 253) as u8;
    let (left, right) = LocalStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut sent, mut state) = (0, 1);
            let mut bytes = Vec::new();
            while sent < TOTAL {
                let longest = if noise(&mut state).is_multiple_of(8) { 300_000 } else { 3000 };
                let len = (noise(&mut state) % longest + 1).min(TOTAL - sent);
                bytes.clear();
                bytes.extend((sent..sent + len).map(byte));
                let result = match noise(&mut state) % 4 {
                    0 => send(&left, &bytes, Wait::Never),
                    1 => send(&left, &bytes, Wait::at_most(Duration::from_micros(300))),
                    2 => {
                        let (head, tail) = bytes.split_at(len / 2);
                        send_vectored(&left, &[IoSlice::new(head), IoSlice::new(tail)], Wait::Never)
                    }
                    _ => send_or_ready(&left, &bytes, Wait::at_most(Duration::from_micros(300)))
                        .map(|progress| progress.sent),
                };
                match result {
                    Ok(len) => sent += len,
                    Err(error) => assert!(
                        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
                        "{error}"
                    ),
                }
            }
            end_sending(&left).unwrap();
            assert_eq!(send(&left, b"x", Wait::Forever).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        });
        let (mut seen, mut state) = (0, 2);
        let mut buffer = vec![0; 300_000];
        loop {
            let longest = if noise(&mut state).is_multiple_of(4) { 300_000 } else { 5000 };
            let part = &mut buffer[..noise(&mut state) % longest + 1];
            let result = match noise(&mut state) % 3 {
                0 => recv(&right, part, Wait::Never),
                1 => recv(&right, part, Wait::at_most(Duration::from_micros(300))),
                _ => recv(&right, part, Wait::at_most(LONG)),
            };
            match result {
                Ok(0) => break,
                Ok(len) => {
                    let wrong = part[..len].iter().enumerate().find(|(at, got)| **got != byte(seen + at));
                    assert!(wrong.is_none(), "byte {seen}+{wrong:?}");
                    seen += len;
                }
                Err(error) => assert!(
                    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
                    "{error}"
                ),
            }
        }
        assert_eq!(seen, TOTAL);
        assert_eq!(recv(&right, &mut buffer, Wait::Forever).unwrap(), 0);
    });
}

#[test]
fn a_second_handle_is_the_same_connection() {
    let (left, right) = LocalStream::pair().unwrap();
    let again = right.try_clone().unwrap();
    send(&left, b"abcdef", Wait::Forever).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(recv(&right, &mut buffer, Wait::Forever).unwrap(), 4);
    assert_eq!(recv(&again, &mut buffer, Wait::Forever).unwrap(), 2);
    drop(right);
    send(&left, b"x", Wait::Forever).unwrap();
    assert_eq!(recv(&again, &mut buffer, Wait::Forever).unwrap(), 1);
}

#[test]
fn names_of_other_systems_are_refused_with_what_to_use() {
    for name in
        [LocalName::Path("/tmp/x".into()), LocalName::Abstract("x".into()), LocalName::Pipe("x".into())]
    {
        if name.is_supported() {
            continue;
        }
        let errors = [
            LocalListener::bind(&name, Access::Private, 1).unwrap_err(),
            LocalStream::connect(&name, Wait::Never).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.advice().is_some_and(|fix| fix.starts_with("use ")), "{error}");
        }
    }
}
