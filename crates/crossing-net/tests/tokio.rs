//! Streams and listeners for tokio: the same behaviour over each mechanism, and futures that are dropped half-way.
#![cfg(unix)]

use crossing_net::tokio::{Listener, Stream};
use crossing_net::{Error, ErrorKind, StreamOptions};
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::Random;
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);

fn endpoints() -> Vec<String> {
    let path = std::env::temp_dir().join(unique_name("crossing-tokio"));
    vec!["tcp:127.0.0.1:0".into(), format!("unix:{}", path.display())]
}

/// Runs it over each mechanism, on one thread and on several.
fn over_each<F: Future<Output = Result<(), Error>>>(test: impl Fn(String) -> F) {
    let _watchdog = watchdog(4 * PATIENCE);
    for endpoint in endpoints() {
        let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        one.block_on(test(endpoint.clone())).unwrap();
        let several =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        several.block_on(test(endpoint)).unwrap();
    }
}

async fn pair(endpoint: &str) -> Result<(Stream, Stream), Error> {
    let listener = Listener::bind(endpoint)?;
    let client = Stream::connect(listener.endpoint()).await?;
    Ok((client, listener.accept().await?.0))
}

fn pattern(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + number) as u8).collect()
}

#[test]
fn frames_go_both_ways_and_the_end_is_told() {
    over_each(async |endpoint| {
        let (mut client, mut server) = pair(&endpoint).await?;
        let lens = [0, 1, 100, 8 << 10, 70_000, 3 << 20];
        let echo = tokio::spawn(async move {
            for len in lens {
                let frame = server.recv().await?.to_vec();
                assert_eq!(frame, pattern(len, len));
                server.send(&frame).await?;
            }
            assert_eq!(server.recv().await.unwrap_err().kind(), ErrorKind::Disconnected);
            assert!(server.peer_ended());
            server.close(PATIENCE).await
        });
        for len in lens {
            client.send(&pattern(len, len)).await?;
            assert_eq!(client.recv().await?, pattern(len, len));
        }
        client.close(PATIENCE).await?;
        echo.await.unwrap()
    });
}

#[test]
fn receiving_is_cancel_safe() {
    over_each(async |endpoint| {
        let (mut client, mut server) = pair(&endpoint).await?;
        let sending = tokio::spawn(async move {
            for number in 0..60 {
                client.send(&pattern(number, number * 3_000)).await?;
                tokio::time::sleep(MS * (number as u32 % 3)).await;
            }
            client.close(PATIENCE).await
        });
        let (mut random, mut next, mut cancelled) = (Random::new(1), 0, 0);
        while next < 60 {
            // Most of these are dropped in the middle of a frame.
            match a_few(&mut random, server.recv()).await {
                Some(frame) => {
                    assert_eq!(frame?, pattern(next, next * 3_000), "frame {next}");
                    next += 1;
                }
                None => cancelled += 1,
            }
        }
        // How many depends on the machine; the sender's pauses see to some.
        assert!(cancelled > 0, "none was cancelled");
        drop(server);
        let _ = sending.await.unwrap();
        Ok(())
    });
}

#[test]
fn sending_is_cancel_safe() {
    over_each(async |endpoint| {
        let (mut client, mut server) = pair(&endpoint).await?;
        let full = Arc::new(AtomicBool::new(false));
        let started = Arc::clone(&full);
        let receiving = tokio::spawn(async move {
            let mut got = Vec::new();
            // More than the system holds is sent before anything is received, so that sending has to wait.
            while !started.load(Ordering::SeqCst) {
                tokio::time::sleep(MS).await;
            }
            while let Ok(frame) = server.recv().await {
                let number = usize::from(u16::from_le_bytes([frame[0], frame[1]]));
                assert_eq!(frame[2..], pattern(number, number % 7 * 40_000), "frame {number}");
                got.push(number);
                tokio::time::sleep(MS).await;
            }
            got
        });
        let (mut done, mut cancelled) = (Vec::new(), 0);
        for number in 0..150_usize {
            let frame = [&(number as u16).to_le_bytes()[..], &pattern(number, number % 7 * 40_000)].concat();
            let polls = if full.load(Ordering::SeqCst) { 1 + number as u64 % 2 } else { 1 };
            match at_most(polls, client.send(&frame)).await {
                Some(sent) => {
                    sent?;
                    done.push(number);
                }
                None => {
                    full.store(true, Ordering::SeqCst);
                    cancelled += 1;
                }
            }
        }
        client.close(PATIENCE).await?;
        let got = receiving.await.unwrap();
        assert!(cancelled > 0, "none was cancelled");
        // In order, each at most once and whole; what was reported as sent is there.
        assert!(got.windows(2).all(|pair| pair[0] < pair[1]), "{got:?}");
        assert!(done.iter().all(|number| got.contains(number)), "{done:?} {got:?}");
        Ok(())
    });
}

#[test]
fn both_sides_may_send_more_than_the_system_holds() {
    over_each(async |endpoint| {
        let (mut client, mut server) = pair(&endpoint).await?;
        let big = vec![9; 8 << 20];
        let frame = big.clone();
        let serving = tokio::spawn(async move {
            // One that is cancelled in the middle goes on while receiving.
            let _ = timeout(MS * 50, server.send(&frame)).await;
            assert_eq!(server.recv().await?.len(), 8 << 20);
            server.flush().await?;
            Ok::<_, Error>(server)
        });
        let _ = timeout(MS * 50, client.send(&big)).await;
        assert_eq!(client.recv().await?.len(), 8 << 20);
        client.flush().await?;
        drop(serving.await.unwrap()?);
        Ok(())
    });
}

#[test]
fn accepting_is_cancel_safe_and_hundreds_of_clients_are_served() {
    over_each(async |endpoint| {
        let listener = Listener::bind(&endpoint)?;
        for _ in 0..5 {
            assert!(timeout(MS, listener.accept()).await.is_err());
        }
        let address = listener.endpoint().clone();
        let clients = tokio::spawn(async move {
            let mut clients = Vec::new();
            for _ in 0..400 {
                clients.push(Stream::connect(&address).await?);
            }
            for (number, client) in clients.iter_mut().enumerate() {
                client.send(&number.to_le_bytes()).await?;
                assert_eq!(client.recv().await?, number.to_le_bytes());
            }
            Ok::<_, Error>(())
        });
        for _ in 0..400 {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                while let Ok(frame) = stream.recv().await {
                    let frame = frame.to_vec();
                    let _ = stream.send(&frame).await;
                }
            });
        }
        clients.await.unwrap()
    });
}

/// All of them open at the same time in one listener, and each is answered.
#[test]
fn thousands_of_connections_in_one_listener() {
    const CLIENTS: usize = 3_000;
    let _watchdog = watchdog(8 * PATIENCE);
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if files.current.is_some_and(|most| most < 2 * CLIENTS as u64 + 200) {
        eprintln!("not run: this process may open {files:?} files");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for endpoint in endpoints() {
            let listener = Listener::bind(&endpoint).unwrap();
            let address = listener.endpoint().clone();
            let accepting = tokio::spawn(async move {
                for _ in 0..CLIENTS {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(async move {
                        while let Ok(frame) = stream.recv().await {
                            let frame = frame.to_vec();
                            stream.send(&frame).await.unwrap();
                        }
                    });
                }
                listener
            });
            let mut clients = Vec::new();
            for _ in 0..CLIENTS {
                clients.push(Stream::connect(&address).await.unwrap());
            }
            let _listener = accepting.await.unwrap();
            for round in 0..2 {
                for (number, client) in clients.iter_mut().enumerate() {
                    client.send(&(number + round).to_le_bytes()).await.unwrap();
                }
                for (number, client) in clients.iter_mut().enumerate() {
                    let answer = timeout(PATIENCE, client.recv()).await.unwrap().unwrap();
                    assert_eq!(answer, (number + round).to_le_bytes());
                }
            }
        }
    });
}

#[test]
fn a_listener_that_is_full_goes_on_when_a_connection_closes() {
    over_each(async |endpoint| {
        let listener = crossing_net::Listener::options().max_connections(1).bind(&endpoint)?;
        let listener = Listener::from_blocking(listener)?;
        let (_one, _two) =
            (Stream::connect(listener.endpoint()).await?, Stream::connect(listener.endpoint()).await?);
        let (first, _) = listener.accept().await?;
        assert!(timeout(MS * 30, listener.accept()).await.is_err());
        drop(first);
        drop(timeout(PATIENCE, listener.accept()).await.unwrap()?);
        Ok(())
    });
}

#[test]
fn a_peer_that_does_not_introduce_itself_is_given_up() {
    over_each(async |endpoint| {
        let listener = crossing_net::Listener::bind(&endpoint)?;
        let mute = StreamOptions::default().raw().connect(listener.endpoint())?;
        let mut options = StreamOptions::default();
        options.handshake_timeout(MS * 50);
        let mut stream = Stream::connect_with(&options, listener.endpoint()).await?;
        let error = stream.send(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(mute);
        Ok(())
    });
}

/// The descriptor of a stream wakes an event loop that knows nothing of Crossing.
#[test]
fn a_blocking_stream_can_be_waited_for_elsewhere() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _watchdog = watchdog(PATIENCE);
    runtime.block_on(async {
        for endpoint in endpoints() {
            let listener = crossing_net::Listener::bind(&endpoint).unwrap();
            let mut client = crossing_net::Stream::connect(listener.endpoint()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            server.send(b"introduced").unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(client.recv().unwrap(), b"introduced");
            let watched = server.as_fd().try_clone_to_owned().unwrap();
            #[allow(deprecated)] // the other way is unsafe
            let watched =
                tokio::io::unix::AsyncFd::with_interest(watched, tokio::io::Interest::READABLE).unwrap();
            assert!(timeout(MS * 30, watched.readable()).await.is_err(), "nothing is there");
            client.send(b"more").unwrap();
            drop(timeout(PATIENCE, watched.readable()).await.unwrap().unwrap());
            assert_eq!(server.try_recv().unwrap(), Some(&b"more"[..]));
        }
    });
}
