use crate::{Endpoint, ErrorKind, Listener, Stream};

#[cfg(windows)]
#[test]
fn they_are_refused_with_what_to_use() {
    for endpoint in ["unix:a", "unix:@a", "pipe:a"] {
        let errors = [
            Listener::options().packets().bind(endpoint).unwrap_err(),
            Stream::options().packets().connect(endpoint).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.advice().is_some_and(|fix| fix.contains("stream")), "{error}");
        }
    }
}

#[test]
fn other_endpoints_carry_none() {
    for endpoint in ["tcp:127.0.0.1:0", "tls:localhost:1", "pipe:a", "shm:a", "mq:/a"] {
        let endpoint: Endpoint = endpoint.parse().unwrap();
        let error = Listener::options().packets().bind(&endpoint).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let error = Stream::options().packets().connect(&endpoint).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("unix:PATH"), "{error}");
    }
    assert_eq!(Listener::options().packets().bind("nothing").unwrap_err().kind(), ErrorKind::ApiMisuse);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use crate::{Access, PacketListener, PacketListenerOptions, PacketStream, Peer};
    use crossing_sys::file::Handle;
    use crossing_testkit::{PATIENCE, unique_name, watchdog};
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::thread;
    use std::time::Duration;

    const SHORT: Duration = Duration::from_millis(30);

    fn path() -> std::path::PathBuf {
        std::env::temp_dir().join(unique_name("crossing-packets"))
    }

    fn endpoint() -> String {
        format!("unix:{}", path().display())
    }

    fn connected(options: &PacketListenerOptions) -> (PacketStream, PacketStream, PacketListener) {
        let listener = options.bind(&endpoint()).unwrap();
        let client = Stream::options().packets().connect(listener.endpoint()).unwrap();
        let (server, peer) = listener.accept_timeout(PATIENCE).unwrap();
        let Peer::Local(who) = peer else { panic!("{peer}") };
        assert_eq!(who.process_id(), Some(std::process::id()));
        (client, server, listener)
    }

    /// The reading end of a pipe, and the writing end as a handle.
    fn pipe() -> (std::io::PipeReader, Handle) {
        let (reader, writer) = std::io::pipe().unwrap();
        (reader, Handle::from(OwnedFd::from(writer)))
    }

    fn write(handle: Handle, text: &str) {
        File::from(OwnedFd::from(handle)).write_all(text.as_bytes()).unwrap();
    }

    /// All that was written, once nobody has the writing end open any more.
    fn read(mut reader: std::io::PipeReader) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn each_is_received_as_it_was_sent() {
        let _watchdog = watchdog(2 * PATIENCE);
        for endpoint in [endpoint(), format!("unix:@{}", unique_name("crossing-packets"))] {
            let listener = Listener::options().packets().bind(&endpoint).unwrap();
            assert_eq!(listener.endpoint().to_string(), endpoint);
            let client = Stream::options().packets().connect(&endpoint).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            let packets = [b"one".to_vec(), vec![], vec![7; 100_000], b"x".to_vec(), vec![]];
            for packet in &packets {
                client.send(packet).unwrap();
            }
            client.end_sending().unwrap();
            for packet in &packets {
                assert_eq!(server.recv_timeout(PATIENCE).unwrap(), packet);
            }
            let error = server.recv().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            // The other direction goes on.
            let mut client = client;
            server.send(b"back").unwrap();
            assert_eq!(client.recv().unwrap(), b"back");
            assert_eq!(client.send(b"late").unwrap_err().kind(), ErrorKind::Disconnected);
        }
    }

    #[test]
    fn calls_wait_as_told() {
        let _watchdog = watchdog(2 * PATIENCE);
        let (client, mut server, listener) = connected(&Listener::options().packets());
        assert!(listener.try_accept().unwrap().is_none());
        assert_eq!(listener.accept_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(server.try_recv().unwrap().is_none());
        assert!(server.try_recv_with_handles().unwrap().is_none());
        assert_eq!(server.recv_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        let mut sent = 0;
        while client.try_send(&[1; 1000]).unwrap() {
            sent += 1;
        }
        assert_eq!(client.send_timeout(b"late", SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        // Another thread's, on the same connection.
        let sender = client.sender().clone();
        let sending = thread::spawn(move || sender.send(b"late"));
        for _ in 0..sent {
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), [1; 1000]);
        }
        assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"late");
        sending.join().unwrap().unwrap();
        assert!(client.try_send(b"again").unwrap());
        assert_eq!(server.try_recv().unwrap(), Some(&b"again"[..]));
    }

    #[test]
    fn too_long_ones_are_told_and_the_next_one_comes() {
        let _watchdog = watchdog(2 * PATIENCE);
        let mut options = Listener::options().packets();
        let (client, mut server, _listener) = connected(options.max_packet_len(1000));
        client.send(&[1; 1001]).unwrap();
        client.send(&[2; 1000]).unwrap();
        let error = server.recv().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge { len: 1001, max: 1000 }, "{error}");
        assert!(error.to_string().contains("max_packet_len"), "{error}");
        assert_eq!(server.recv().unwrap(), [2; 1000]);

        let longest = client.sender().longest();
        let error = client.send(&vec![0; longest + 1]).unwrap_err();
        let kind = ErrorKind::TooLarge { len: longest as u64 + 1, max: longest as u64 };
        assert_eq!(error.kind(), kind, "{error}");
        client.send(b"goes on").unwrap();
        assert_eq!(server.recv().unwrap(), b"goes on");
    }

    #[test]
    fn handles_come_with_their_packet() {
        let _watchdog = watchdog(2 * PATIENCE);
        let mut options = Listener::options().packets();
        let (client, mut server, _listener) = connected(options.max_handles(2));
        let ((first, a), (second, b)) = (pipe(), pipe());
        client.send(b"none").unwrap();
        client.send_with_handles(b"two", &[&a, &b]).unwrap();
        client.send_with_handles(b"", &[&a]).unwrap();
        drop((a, b));
        assert_eq!(server.recv_with_handles().unwrap().1.len(), 0);
        let (packet, handles) = server.recv_with_handles_timeout(PATIENCE).unwrap();
        assert_eq!(packet, b"two");
        let [a, b] = <[Handle; 2]>::try_from(handles).unwrap();
        write(a, "to the first");
        write(b, "to the second");
        let (packet, mut handles) = server.try_recv_with_handles().unwrap().unwrap();
        assert_eq!((packet, handles.len()), (&b""[..], 1));
        write(handles.remove(0), ", again");
        assert_eq!((read(first), read(second)), ("to the first, again".into(), "to the second".into()));
    }

    #[test]
    fn handles_that_are_too_many_are_closed_and_told_and_the_next_packet_comes() {
        let _watchdog = watchdog(2 * PATIENCE);
        let mut options = Listener::options().packets();
        let (client, mut server, _listener) = connected(options.max_handles(1));
        let ((first, a), (second, b), (third, c)) = (pipe(), pipe(), pipe());
        client.send_with_handles(b"two", &[&a, &b]).unwrap();
        client.send_with_handles(b"one", &[&c]).unwrap();
        drop((a, b, c));
        let error = server.recv_with_handles().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
        assert!(error.to_string().contains("max_handles"), "{error}");
        // Their end comes: nobody has them open, here either.
        assert_eq!((read(first), read(second)), (String::new(), String::new()));
        // Who does not ask for handles gets none.
        assert_eq!(server.recv().unwrap(), b"one");
        assert_eq!(read(third), "");
        let error = client.send_with_handles(b"x", &[&pipe().1; 65]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{error}");
        // None are taken unless said.
        let (client, mut server, _listener) = connected(&Listener::options().packets());
        let (reader, handle) = pipe();
        client.send_with_handles(b"x", &[&handle]).unwrap();
        drop(handle);
        assert_eq!(server.recv().unwrap_err().kind(), ErrorKind::LimitReached);
        assert_eq!(read(reader), "");
    }

    #[test]
    fn the_file_has_its_access_and_owner_and_goes_with_the_listener() {
        let path = path();
        let mut options = Listener::options();
        let own = std::fs::metadata(std::env::temp_dir()).map(|_| {
            File::create_new(&path).unwrap();
            let own = std::fs::metadata(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            (own.uid(), own.gid())
        });
        let own = own.unwrap();
        let endpoint = format!("unix:{}", path.display());
        let listener = options.access(Access::Group).owner(own.0, own.1).packets().bind(&endpoint).unwrap();
        let file = std::fs::metadata(&path).unwrap();
        assert_eq!((file.permissions().mode() & 0o777, (file.uid(), file.gid())), (0o660, own));
        assert_eq!(
            Listener::options().packets().bind(&endpoint).unwrap_err().kind(),
            ErrorKind::AddressInUse
        );
        // Of another type, as are streams to it.
        let error = Stream::connect(&endpoint).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        drop(listener);
        assert!(!path.exists());
        let _stream = Listener::bind(&endpoint).unwrap();
        let error = Stream::options().packets().connect(&endpoint).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
    }

    #[test]
    fn their_descriptors_can_be_waited_for() {
        let _watchdog = watchdog(PATIENCE);
        let (client, server, listener) = connected(&Listener::options().packets());
        let ready = |fd: &dyn AsFd| {
            let mut fds = [rustix::event::PollFd::from_borrowed_fd(fd.as_fd(), rustix::event::PollFlags::IN)];
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::event::poll(&mut fds, Some(&now)).unwrap() == 1
        };
        assert!(!ready(&server) && !ready(&listener));
        client.send(b"x").unwrap();
        assert!(ready(&server));
        let _second = Stream::options().packets().connect(listener.endpoint()).unwrap();
        assert!(ready(&listener));
    }

    #[test]
    fn limits_of_connections_count_them_too() {
        let _watchdog = watchdog(PATIENCE);
        let mut options = Listener::options();
        let (client, server, listener) = connected(&options.max_connections(1).packets());
        assert!(listener.is_full());
        let _next = Stream::options().packets().connect(listener.endpoint()).unwrap();
        assert!(listener.try_accept().unwrap().is_none());
        // What sends holds the connection.
        let sender = server.sender().clone();
        drop(server);
        assert!(listener.is_full());
        drop((sender, client));
        listener.accept_timeout(PATIENCE).unwrap();
    }
}
