use crate::{Datagram, ErrorKind};

#[test]
fn other_endpoints_carry_none() {
    let mut endpoints = vec!["tcp:127.0.0.1:0", "tls:localhost:1", "pipe:a", "shm:a"];
    if !cfg!(unix) {
        endpoints.push("unix:a");
    }
    for endpoint in endpoints {
        let bound = Datagram::options().bind(endpoint).unwrap_err();
        let connected = Datagram::options().connect(endpoint).unwrap_err();
        for error in [bound, connected] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.advice().is_some_and(|fix| fix.contains("unix:PATH")), "{error}");
        }
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use crate::{Access, Allow, Endpoint};
    use crossing_testkit::{PATIENCE, unique_name, watchdog};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixDatagram;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    const SHORT: Duration = Duration::from_millis(30);

    fn path() -> std::path::PathBuf {
        std::env::temp_dir().join(unique_name("crossing-datagram"))
    }

    fn bound() -> Datagram {
        Datagram::options().bind(&format!("unix:{}", path().display())).unwrap()
    }

    #[test]
    fn they_come_whole_and_say_who_sent_them() {
        let _watchdog = watchdog(2 * PATIENCE);
        let (mut left, mut right) = (bound(), bound());
        let datagrams = [b"one".to_vec(), vec![], vec![7; 100_000]];
        for datagram in &datagrams {
            left.send_to(right.endpoint(), datagram).unwrap();
        }
        for datagram in &datagrams {
            let (got, origin) = right.recv_from_timeout(PATIENCE).unwrap();
            assert_eq!(got, datagram);
            assert_eq!(origin.endpoint.as_ref(), Some(left.endpoint()));
            if let Some(who) = origin.credentials {
                assert_eq!(who.process_id(), Some(std::process::id()));
            }
        }
        while right.try_send_to(left.endpoint(), b"full").unwrap() {}
        let late = right.send_to_timeout(left.endpoint(), b"late", SHORT).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut, "{late}");
        while left.try_recv().unwrap().is_some() {}
        assert!(right.try_send_to(left.endpoint(), b"back").unwrap());
        assert_eq!(left.try_recv().unwrap(), Some(&b"back"[..]));
        assert!(left.try_recv_from().unwrap().is_none());
        assert_eq!(left.recv_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(left.send(b"to nobody").unwrap_err().kind(), ErrorKind::ApiMisuse);
        assert_eq!(left.send_to("tcp:a:1", b"x").unwrap_err().kind(), ErrorKind::Unsupported);
        let gone = right.endpoint().clone();
        drop(right);
        assert_eq!(left.send_to(&gone, b"x").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_connected_one_talks_with_one_alone() {
        let _watchdog = watchdog(2 * PATIENCE);
        let mut server = bound();
        let mut client = Datagram::options().connect(server.endpoint()).unwrap();
        assert_eq!(client.endpoint(), server.endpoint());
        client.send(b"question").unwrap();
        let (_, origin) = server.recv_from().unwrap();
        if let Some(back) = origin.endpoint {
            let error = bound().send_to(&back, b"from a stranger").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            server.send_to(&back, b"answer").unwrap();
            assert_eq!(client.recv_timeout(PATIENCE).unwrap(), b"answer");
        }
        let mut sent = 0;
        while client.try_send(b"more").unwrap() {
            sent += 1;
        }
        assert_eq!(client.send_timeout(b"late", SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        let sender = client.sender().clone();
        let sending = thread::spawn(move || sender.send(b"late"));
        for _ in 0..sent {
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"more");
        }
        assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"late");
        sending.join().unwrap().unwrap();
        drop(server);
        assert_eq!(client.send(b"x").unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn too_long_ones_are_told_and_the_next_one_comes() {
        let _watchdog = watchdog(PATIENCE);
        let endpoint = format!("unix:{}", path().display());
        let mut server = Datagram::options().max_datagram_len(100).bind(&endpoint).unwrap();
        let client = Datagram::options().connect(&endpoint).unwrap();
        client.send(&[1; 101]).unwrap();
        client.send(&[2; 100]).unwrap();
        let error = server.recv().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge { len: 101, max: 100 }, "{error}");
        assert!(error.to_string().contains("max_datagram_len"), "{error}");
        assert_eq!(server.recv().unwrap(), [2; 100]);
        let error = client.send(&vec![0; 64 << 20]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
    }

    #[test]
    fn those_of_whom_is_not_allowed_are_dropped_and_counted() {
        let _watchdog = watchdog(2 * PATIENCE);
        let open = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&open);
        let rule = Allow::when(move |who| who.is_same_user() && seen.load(Ordering::Relaxed));
        let endpoint = format!("unix:{}", path().display());
        let mut server = Datagram::options().allow(rule).bind(&endpoint).unwrap();
        let client = Datagram::options().connect(&endpoint).unwrap();
        client.send(b"one").unwrap();
        client.send(b"two").unwrap();
        assert!(server.try_recv().unwrap().is_none());
        assert_eq!(server.refused_datagrams(), 2);
        client.send(b"three").unwrap();
        assert_eq!(server.recv_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        open.store(true, Ordering::Relaxed);
        client.send(b"four").unwrap();
        assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"four");
        assert_eq!(server.refused_datagrams(), 3);
    }

    #[test]
    fn the_file_has_its_access_and_goes_with_the_socket() {
        let path = path();
        let endpoint = Endpoint::Unix(crate::LocalName::Path(path.clone()));
        let mut server = Datagram::options().access(Access::World).bind(&endpoint).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert_eq!(Datagram::options().bind(&endpoint).unwrap_err().kind(), ErrorKind::AddressInUse);
        // A program that knows nothing of Crossing.
        UnixDatagram::unbound().unwrap().send_to(b"foreign", &path).unwrap();
        assert_eq!(server.recv().unwrap(), b"foreign");
        drop(server);
        assert!(!path.exists());
    }
}
