use super::*;

#[cfg(windows)]
#[test]
fn they_are_refused_with_what_to_use() {
    let name = LocalName::Path("a".into());
    let listening = LocalListener::bind_packets(&name, Access::Private, Owner::default(), 1).unwrap_err();
    let connecting = LocalStream::connect_packets(&name, Wait::Never).unwrap_err();
    let bound = LocalDatagrams::bind(&name, Access::Private, Owner::default()).unwrap_err();
    let connected = LocalDatagrams::connect(&name).unwrap_err();
    for error in [listening, connecting, bound, connected, LocalDatagrams::unbound().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.advice().is_some_and(|fix| fix.contains("pipe:")), "{error}");
    }
    assert_eq!(LocalStream::packet_pair().unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(30);

    fn patience() -> Wait {
        Wait::at_most(PATIENCE)
    }

    /// A path of its own, free.
    fn path() -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        std::env::temp_dir().join(format!("crossing-packet-{}-{next}", std::process::id()))
    }

    fn name() -> LocalName {
        LocalName::Path(path())
    }

    fn datagrams(name: &LocalName) -> LocalDatagrams {
        LocalDatagrams::bind(name, Access::Private, Owner::default()).unwrap()
    }

    fn put(stream: &LocalStream, bytes: &[u8]) {
        send(stream, &[IoSlice::new(bytes)], &[], patience()).unwrap();
    }

    fn take(stream: &LocalStream, max_len: usize) -> (Packet, Vec<u8>) {
        let mut buffer = Vec::new();
        let got = recv(stream, &mut buffer, max_len, &mut Vec::new(), 0, patience()).unwrap();
        (got, buffer)
    }

    #[test]
    fn packets_keep_their_boundaries_the_empty_one_too() {
        if !is_supported() {
            return;
        }
        let (left, right) = LocalStream::packet_pair().unwrap();
        let messages = [b"one".to_vec(), vec![], vec![7; 100_000], b"x".to_vec(), vec![]];
        for message in &messages {
            put(&left, message);
        }
        crate::local::end_sending(&left).unwrap();
        for message in &messages {
            assert_eq!(take(&right, 1 << 20), (Packet::Message, message.clone()));
        }
        // The last message was empty, and this is not one.
        assert_eq!(take(&right, 1 << 20), (Packet::End, vec![]));
        assert_eq!(take(&right, 1 << 20), (Packet::End, vec![]));
        // The other direction goes on.
        put(&right, b"back");
        assert_eq!(take(&left, 4).1, b"back");
        drop(right);
        assert_eq!(take(&left, 4).0, Packet::End);
        let cause = send(&left, &[IoSlice::new(b"x")], &[], patience()).unwrap_err();
        assert_eq!(cause.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_a_peer_sent_before_it_left_is_received_though_it_left_things_unread() {
        if !is_supported() {
            return;
        }
        let (left, right) = LocalStream::packet_pair().unwrap();
        put(&right, b"never received");
        put(&left, b"one");
        put(&left, b"two");
        drop(left);
        assert_eq!(take(&right, 10), (Packet::Message, b"one".to_vec()));
        assert_eq!(take(&right, 10), (Packet::Message, b"two".to_vec()));
        assert_eq!(take(&right, 10).0, Packet::End);
    }

    #[test]
    fn a_packet_that_is_too_long_is_told_and_the_next_one_comes() {
        if !is_supported() {
            return;
        }
        let (left, right) = LocalStream::packet_pair().unwrap();
        put(&left, &[1; 5000]);
        put(&left, b"next");
        assert_eq!(take(&right, 4999), (Packet::TooLong { len: 5000 }, vec![]));
        assert_eq!(take(&right, 4), (Packet::Message, b"next".to_vec()));
        let longest = longest(&left);
        assert!(longest > 4096, "{longest}");
        put(&left, &vec![2; longest]);
        assert_eq!(take(&right, usize::MAX).1.len(), longest);
        let cause = send(&left, &[IoSlice::new(&vec![2; longest + 1])], &[], patience()).unwrap_err();
        assert!(is_too_long(&cause), "{cause}");
        assert!(!is_too_long(&io::ErrorKind::BrokenPipe.into()));
    }

    #[test]
    fn packets_wait_as_told() {
        if !is_supported() {
            return;
        }
        let (left, right) = LocalStream::packet_pair().unwrap();
        let mut buffer = Vec::new();
        let mut get = |wait| recv(&right, &mut buffer, 10, &mut Vec::new(), 0, wait).unwrap_err().kind();
        assert_eq!(get(Wait::Never), io::ErrorKind::WouldBlock);
        assert_eq!(get(Wait::at_most(SHORT)), io::ErrorKind::TimedOut);
        while send(&left, &[IoSlice::new(&[0; 1000])], &[], Wait::Never).is_ok() {}
        let cause = send(&left, &[IoSlice::new(&[0; 1000])], &[], Wait::at_most(SHORT)).unwrap_err();
        assert_eq!(cause.kind(), io::ErrorKind::TimedOut);
        thread::scope(|scope| {
            let sending = scope.spawn(|| send(&left, &[IoSlice::new(b"late")], &[], patience()));
            while take(&right, 1000).1 != b"late" {}
            sending.join().unwrap().unwrap();
        });
    }

    #[test]
    fn packets_carry_handles_and_tell_who_sent_them() {
        if !is_supported() {
            return;
        }
        let name = name();
        let listener = LocalListener::bind_packets(&name, Access::Private, Owner::default(), 8).unwrap();
        let client = LocalStream::connect_packets(&name, patience()).unwrap();
        let (server, who) = listener.accept(patience()).unwrap();
        assert_eq!(who.process_id(), Some(std::process::id()));
        assert!(who.is_same_user());
        let place = path();
        let mut file = File::options().read(true).write(true).create_new(true).open(&place).unwrap();
        std::fs::remove_file(&place).unwrap();
        let handle = Handle::from(std::os::fd::OwnedFd::from(file.try_clone().unwrap()));
        send(&client, &[IoSlice::new(b"with"), IoSlice::new(b" it")], &[&handle, &handle], patience())
            .unwrap();
        let (mut buffer, mut handles) = (Vec::new(), Vec::new());
        recv(&server, &mut buffer, 100, &mut handles, 2, patience()).unwrap();
        assert_eq!((buffer.as_slice(), handles.len()), (&b"with it"[..], 2));
        let mut same = File::from(std::os::fd::OwnedFd::from(handles.pop().unwrap()));
        same.write_all(b"same file").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "same file");
        // More than wanted: none is kept, and the next message comes.
        send(&client, &[IoSlice::new(b"a")], &[&handle, &handle], patience()).unwrap();
        put(&client, b"b");
        handles.clear();
        let cause = recv(&server, &mut buffer, 100, &mut handles, 1, patience()).unwrap_err();
        assert_eq!(cause.kind(), io::ErrorKind::InvalidData);
        assert!(handles.is_empty() && buffer.is_empty());
        assert_eq!(take(&server, 10).1, b"b");
    }

    #[test]
    fn another_type_at_the_name_is_told() {
        if !is_supported() {
            return;
        }
        let place = path();
        let name = LocalName::Path(place.clone());
        let stream = UnixListener::bind(&place).unwrap();
        let error = LocalStream::connect_packets(&name, patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        let error = LocalDatagrams::unbound().unwrap().send_to(&name, b"x", patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        // Neither replaces what lives.
        let error = LocalDatagrams::bind(&name, Access::Private, Owner::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
        drop(stream);
        // What died is replaced, by whatever comes.
        let listener = LocalListener::bind_packets(&name, Access::Private, Owner::default(), 1).unwrap();
        let error = LocalStream::connect(&name, patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        drop(listener);
        assert!(!place.exists());
    }

    #[test]
    fn datagrams_come_whole_with_their_sender() {
        let (one, two) = (name(), name());
        let (left, right) = (datagrams(&one), datagrams(&two));
        let LocalName::Path(file) = &one else { unreachable!() };
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        let mut buffer = [0; 100];
        for message in [&b"hello"[..], b"", b"again"] {
            left.send_to(&two, message, patience()).unwrap();
            let (len, origin) = right.recv_from(&mut buffer, patience()).unwrap();
            assert_eq!(&buffer[..len], message);
            assert_eq!(origin.name.as_ref(), Some(&one));
            if let Some(who) = origin.credentials {
                assert!(who.is_same_user());
                assert_eq!(who.process_id(), Some(std::process::id()));
            }
        }
        // Cut, and the length is known; the next one is whole.
        left.send_to(&two, &[3; 90], patience()).unwrap();
        left.send_to(&two, b"next", patience()).unwrap();
        let (len, _) = right.recv_from(&mut buffer[..10], patience()).unwrap();
        assert!(len > 10, "{len}");
        assert_eq!(right.recv_from(&mut buffer, patience()).unwrap().0, 4);
        let file = file.clone();
        drop(left);
        assert!(!file.exists());
        let error = right.send_to(&one, b"x", patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }

    #[test]
    fn a_datagram_of_a_nameless_sender_can_be_answered_where_it_gets_a_name() {
        let name = name();
        let (server, client) = (datagrams(&name), LocalDatagrams::unbound().unwrap());
        client.send_to(&name, b"question", patience()).unwrap();
        let mut buffer = [0; 100];
        let (_, origin) = server.recv_from(&mut buffer, patience()).unwrap();
        if let Some(back) = origin.name {
            server.send_to(&back, b"answer", patience()).unwrap();
            let (len, from) = client.recv_from(&mut buffer, patience()).unwrap();
            assert_eq!((&buffer[..len], from.name), (&b"answer"[..], Some(name)));
        }
        // A foreign program without any name.
        let LocalName::Path(file) = server.name().unwrap() else { unreachable!() };
        UnixDatagram::unbound().unwrap().send_to(b"foreign", file).unwrap();
        let (len, origin) = server.recv_from(&mut buffer, patience()).unwrap();
        assert_eq!((&buffer[..len], origin.name), (&b"foreign"[..], None));
        assert!(origin.credentials.is_none_or(|who| who.is_same_user()));
    }

    #[test]
    fn a_receiver_that_is_behind_makes_the_sender_wait() {
        let name = name();
        let (server, client) = (datagrams(&name), LocalDatagrams::unbound().unwrap());
        let mut sent = 0_u32;
        let error = loop {
            match client.send_to(&name, &sent.to_ne_bytes(), Wait::Never) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        let error = client.send_to(&name, b"late", Wait::at_most(SHORT)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(error.advice().is_some(), "{error}");
        thread::scope(|scope| {
            let timed = scope.spawn(|| client.send_to(&name, b"late", patience()));
            let endless = scope.spawn(|| client.send_to(&name, b"late", Wait::Forever));
            let mut buffer = [0; 4];
            for number in 0..sent {
                server.recv_from(&mut buffer, patience()).unwrap();
                assert_eq!(u32::from_ne_bytes(buffer), number);
            }
            for _ in 0..2 {
                server.recv_from(&mut buffer, patience()).unwrap();
                assert_eq!(&buffer, b"late");
            }
            timed.join().unwrap().unwrap();
            endless.join().unwrap().unwrap();
        });
        assert_eq!(server.recv_from(&mut [0], Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(
            server.recv_from(&mut [0], Wait::at_most(SHORT)).unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }

    #[test]
    fn a_connected_socket_of_datagrams_talks_with_one_alone() {
        let (name, other) = (name(), name());
        let error = LocalDatagrams::connect(&name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let (server, stranger) = (datagrams(&name), datagrams(&other));
        let client = LocalDatagrams::connect(&name).unwrap();
        assert_eq!((client.peer(), client.name()), (Some(&name), None));
        client.send(b"question", patience()).unwrap();
        let mut buffer = [0; 100];
        let (_, origin) = server.recv_from(&mut buffer, patience()).unwrap();
        if let Some(back) = origin.name {
            let error = stranger.send_to(&back, b"not for you", patience()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            server.send_to(&back, b"answer", patience()).unwrap();
            let (len, _) = client.recv_from(&mut buffer, patience()).unwrap();
            assert_eq!(&buffer[..len], b"answer");
        }
        while client.send(b"more", Wait::Never).is_ok() {}
        let error = client.send(b"late", Wait::at_most(SHORT)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        drop(server);
        let error = client.send(b"x", patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        let error = stranger.send(b"x", patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
    }

    #[test]
    fn datagrams_longer_than_the_socket_sends_are_told() {
        let name = name();
        let (_server, client) = (datagrams(&name), LocalDatagrams::unbound().unwrap());
        let error = client.send_to(&name, &vec![0; 64 << 20], patience()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooLarge { len: 67_108_864, max: 1.. }), "{error}");
    }

    #[test]
    fn a_stale_datagram_socket_is_replaced_and_a_live_one_is_not() {
        let place = path();
        let name = LocalName::Path(place.clone());
        drop(UnixDatagram::bind(&place).unwrap());
        let error = LocalDatagrams::unbound().unwrap().send_to(&name, b"x", patience()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
        let first = datagrams(&name);
        let error = LocalDatagrams::bind(&name, Access::Private, Owner::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
        // The question whether it lives was no datagram.
        assert_eq!(first.recv_from(&mut [0], Wait::Never).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        std::fs::write(&place, b"no socket").unwrap();
        let error = LocalDatagrams::bind(&name, Access::Private, Owner::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        std::fs::remove_file(&place).unwrap();
    }
}
