//! Peers that do not read, that send a byte at a time, and that come in floods: what they cost, and that others do not notice.

#![forbid(unsafe_code)]

use crossing_net::{Endpoint, Error, ErrorKind, Listener, RawStream, Stream};
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(100);

fn endpoints() -> Vec<String> {
    let name = unique_name("crossing-hostile");
    let local = if cfg!(windows) { format!("pipe:{name}") } else { format!("unix:@{name}") };
    vec!["tcp:127.0.0.1:0".into(), local]
}

fn over_each(test: impl Fn(&str)) {
    let _watchdog = watchdog(4 * PATIENCE);
    for endpoint in endpoints() {
        eprintln!("over {endpoint}");
        test(&endpoint);
    }
}

fn raw(endpoint: &Endpoint) -> RawStream {
    Stream::options().connect_timeout(PATIENCE).raw().connect(endpoint).unwrap()
}

/// A client that introduced itself to a server that waits `SHORT` for it to take something.
fn not_reading(endpoint: &str) -> (Listener, Stream, Stream) {
    let listener = Listener::options().slow_client(SHORT).bind(endpoint).unwrap();
    let mut client = Stream::options().connect_timeout(PATIENCE).connect(listener.endpoint()).unwrap();
    let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
    server.send(b"introduced").unwrap();
    assert_eq!(client.recv_timeout(PATIENCE).unwrap(), b"introduced");
    (listener, client, server)
}

fn is_given_up(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    let text = error.to_string();
    assert!(text.contains("took nothing") && text.contains("slow_client"), "{text}");
}

#[test]
fn a_client_that_does_not_read_is_given_up_and_others_are_served() {
    over_each(|endpoint| {
        let (listener, client, mut server) = not_reading(endpoint);
        // More than any system holds, by a call that waits without end.
        is_given_up(&server.send(&vec![1; 16 << 20]).unwrap_err());
        // For ever: the frame was broken off.
        is_given_up(&server.try_send(b"x").unwrap_err());
        let other = listener.endpoint().clone();
        let other = thread::spawn(move || {
            let mut other = Stream::connect(&other).unwrap();
            assert_eq!(other.recv_timeout(PATIENCE).unwrap(), b"for you");
        });
        listener.accept_timeout(PATIENCE).unwrap().0.send(b"for you").unwrap();
        other.join().unwrap();
        drop((listener, client, server));

        // By calls that do not wait, and by short ones.
        for patience in [Duration::ZERO, SHORT / 20] {
            let (_listener, _client, mut server) = not_reading(endpoint);
            let frame = [2; 4096];
            let error = loop {
                let sent = match patience {
                    Duration::ZERO => server.try_send(&frame).map(drop),
                    patience => match server.send_timeout(&frame, patience) {
                        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(()),
                        result => result,
                    },
                };
                if let Err(error) = sent {
                    break error;
                }
            };
            is_given_up(&error);
        }

        // Bare bytes.
        let listener = Listener::options().slow_client(SHORT).bind(endpoint).unwrap();
        let _client = raw(listener.endpoint());
        let (server, _) = listener.accept_raw_timeout(PATIENCE).unwrap();
        is_given_up(&server.write_all(&vec![3; 64 << 20]).unwrap_err());
    });
}

/// However long it takes, as long as something is taken now and then.
#[test]
fn a_client_that_reads_slowly_is_not_given_up() {
    over_each(|endpoint| {
        let listener = Listener::options().slow_client(PATIENCE).bind(endpoint).unwrap();
        let address = listener.endpoint().clone();
        let reading = thread::spawn(move || {
            let mut client = Stream::connect(&address).unwrap();
            let mut sum = 0;
            while let Ok(frame) = client.recv_timeout(PATIENCE) {
                sum += frame.len();
                thread::sleep(Duration::from_millis(2));
            }
            assert!(client.peer_ended());
            sum
        });
        let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
        for _ in 0..50 {
            assert!(
                !server.try_send(&[0; 100_000]).is_err_and(|error| error.kind() == ErrorKind::Disconnected)
            );
            server.send(&[0; 100_000]).unwrap();
        }
        server.end_sending().unwrap();
        assert!(reading.join().unwrap() >= 5_000_000);
    });
}

#[cfg(all(feature = "tokio", unix))]
#[test]
fn a_task_gives_a_client_up_that_does_not_read() {
    use crossing_net::tokio;
    let _watchdog = watchdog(4 * PATIENCE);
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for endpoint in endpoints() {
            let options = Listener::options().slow_client(SHORT).clone();
            let listener = tokio::Listener::from_blocking(options.bind(&endpoint).unwrap()).unwrap();
            let mut client = tokio::Stream::connect(listener.endpoint()).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            server.send(b"introduced").await.unwrap();
            assert_eq!(client.recv().await.unwrap(), b"introduced");
            is_given_up(&server.send(&vec![1; 16 << 20]).await.unwrap_err());
            let _client = tokio::RawStream::connect(listener.endpoint()).await.unwrap();
            let (server, _) = listener.accept_raw().await.unwrap();
            is_given_up(&server.write_all(&vec![1; 64 << 20]).await.unwrap_err());
        }
        let path = std::env::temp_dir().join(unique_name("crossing-hostile"));
        let options = Listener::options().slow_client(SHORT).packets();
        let listener = options.bind(&format!("unix:{}", path.display())).unwrap();
        let listener = tokio::PacketListener::from_blocking(listener).unwrap();
        let _client = tokio::PacketStream::connect(listener.endpoint()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let error = loop {
            if let Err(error) = server.send(&[1; 1000]).await {
                break error;
            }
        };
        is_given_up(&error);
    });
}

/// Slowloris: many connections that come to nothing, a byte at a time.
#[test]
fn clients_that_send_a_byte_at_a_time_are_given_up_and_others_are_served() {
    // A pipe has one client waiting at most, and Wine's threads are slow.
    const SLOW: usize = if cfg!(windows) { 10 } else { 150 };
    over_each(|endpoint| {
        let listener = Listener::options().handshake_timeout(4 * SHORT).bind(endpoint).unwrap();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // The beginning of an introduction, as a foreign listener gets it of a client.
                let begun = {
                    let other = Listener::bind(&endpoints()[0]).unwrap();
                    let _client = Stream::connect(other.endpoint()).unwrap();
                    let (other, _) = other.accept_raw_timeout(PATIENCE).unwrap();
                    let mut bytes = [0; 64];
                    let len = other.read_timeout(&mut bytes, PATIENCE).unwrap();
                    bytes[..len - 1].to_vec()
                };
                let slow: Vec<_> = (0..SLOW).map(|_| raw(listener.endpoint())).collect();
                for byte in begun {
                    for stream in &slow {
                        let _ = stream.try_write(&[byte]);
                    }
                    thread::sleep(SHORT / 4);
                }
                while !over.load(Ordering::SeqCst) {
                    thread::sleep(SHORT / 10);
                }
            });
            // One that is served beside them, all the time.
            let serving: Vec<_> = (0..SLOW)
                .map(|_| {
                    let (mut stream, _) = listener.accept_timeout(PATIENCE).unwrap();
                    scope.spawn(move || stream.recv_timeout(PATIENCE).unwrap_err())
                })
                .collect();
            let address = listener.endpoint().clone();
            let asking = scope.spawn(move || {
                let mut client = Stream::options().connect_timeout(PATIENCE).connect(&address).unwrap();
                for _ in 0..100 {
                    client.send(b"question").unwrap();
                    assert_eq!(client.recv_timeout(PATIENCE).unwrap(), b"answer");
                }
            });
            let (mut served, _) = listener.accept_timeout(PATIENCE).unwrap();
            for _ in 0..100 {
                assert_eq!(served.recv_timeout(PATIENCE).unwrap(), b"question");
                served.send(b"answer").unwrap();
            }
            asking.join().unwrap();
            for error in serving.into_iter().map(|thread| thread.join().unwrap()) {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                assert!(error.to_string().contains("introduce"), "{error}");
            }
            over.store(true, Ordering::SeqCst);
        });
    });
}

/// Bytes that keep coming do not make a call wait longer than it was told.
#[test]
fn a_frame_that_comes_a_byte_at_a_time_ends_no_deadline() {
    over_each(|endpoint| {
        let listener = Listener::bind(endpoint).unwrap();
        let address = listener.endpoint().clone();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // A frame of a client, caught by a listener of bare bytes, and sent on byte by byte.
                let other = Listener::bind(&endpoints()[0]).unwrap();
                let mut client = Stream::connect(other.endpoint()).unwrap();
                let (other, _) = other.accept_raw_timeout(PATIENCE).unwrap();
                let dripping = raw(&address);
                let (mut bytes, mut caught) = ([0; 4096], 0);
                // The introduction there and back, so that the client sends its frame.
                let mut introduction = [0; 64];
                let len = other.read_timeout(&mut introduction, PATIENCE).unwrap();
                other.write_all(&introduction[..len]).unwrap();
                dripping.write_all(&introduction[..len]).unwrap();
                client.send_timeout(&[7; 1 << 20], SHORT).unwrap();
                while !over.load(Ordering::SeqCst) {
                    if caught == 0 {
                        caught = other.read_timeout(&mut bytes, PATIENCE).unwrap();
                    }
                    let _ = dripping.try_write(&bytes[..1]);
                    bytes.rotate_left(1);
                    caught -= 1;
                    thread::sleep(SHORT / 50);
                }
            });
            let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
            for _ in 0..5 {
                assert_eq!(server.recv_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
            }
            over.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn a_frame_of_many_parts_is_one_frame() {
    over_each(|endpoint| {
        let listener = Listener::options().max_frame_len(4 << 20).bind(endpoint).unwrap();
        let mut client = Stream::options().connect_timeout(PATIENCE).connect(listener.endpoint()).unwrap();
        let (mut server, _) = listener.accept_timeout(PATIENCE).unwrap();
        server.send(b"introduced").unwrap();
        assert_eq!(client.recv_timeout(PATIENCE).unwrap(), b"introduced");
        // Few and many, short and long, empty ones among them.
        let shapes: [Vec<usize>; 6] = [
            vec![],
            vec![0, 0, 0],
            vec![1, 0, 2, 3],
            vec![5_000, 0, 5_000, 1],
            (0..1500).map(|at| at % 70).collect(),
            vec![0, 1 << 20, 3, 2 << 20, 0],
        ];
        let whole = |shape: &[usize]| -> Vec<Vec<u8>> {
            shape
                .iter()
                .enumerate()
                .map(|(at, len)| (0..*len).map(|byte| (byte * 31 + at) as u8).collect())
                .collect()
        };
        let expected = shapes.clone();
        let receiving = thread::spawn(move || {
            for shape in &expected {
                assert_eq!(server.recv_timeout(PATIENCE).unwrap(), whole(shape).concat(), "{shape:?}");
            }
            // Of one whose time was over in the middle, the rest goes with the following calls.
            let cut = server.recv_timeout(PATIENCE).unwrap().to_vec();
            assert!(
                cut.len() == 3 << 20 && cut.iter().enumerate().all(|(at, byte)| *byte == (at >> 20) as u8)
            );
            assert_eq!(server.recv_timeout(PATIENCE).unwrap(), b"behind it");
            server
        });
        for shape in &shapes {
            let parts = whole(shape);
            let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            client.send_vectored(&parts).unwrap();
        }
        let parts = [0, 1, 2].map(|number| vec![number; 1 << 20]);
        let parts = parts.each_ref().map(|part| IoSlice::new(part));
        while !client.try_send_vectored(&parts).unwrap() {
            thread::yield_now();
        }
        client.send(b"behind it").unwrap();
        let _server = receiving.join().unwrap();
        let long = vec![0; 4 << 20];
        let error = client.send_vectored(&[IoSlice::new(b"x"), IoSlice::new(&long)]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
        let (mut sending, _receiving) = client.split().unwrap();
        sending.send_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")]).unwrap();
    });
}

#[cfg(all(unix, not(crossing_os_stub)))]
#[path = "hostile_peers/floods.rs"]
mod floods;
