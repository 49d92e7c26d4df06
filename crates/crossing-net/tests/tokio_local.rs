//! What local sockets alone have, for tokio: packets, datagrams, handles that go with messages, and the process at the other end;
//! with futures that are dropped half-way. And connecting, which is dropped half-way over every mechanism.
#![cfg(all(unix, not(crossing_os_stub)))]

use crossing_net::tokio::{Datagram, Listener, PacketListener, PacketStream, PeerProcess, RawStream, Stream};
use crossing_net::{Endpoint, Error, ErrorKind, Handle, Listener as Blocking, StreamOptions};
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::Random;
use crossing_testkit::{Child, PATIENCE, role, unique_name, watchdog};
use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);

fn endpoint() -> String {
    format!("unix:{}", std::env::temp_dir().join(unique_name("crossing-tokio-local")).display())
}

/// Runs it on one thread and on several.
fn on_each<F: Future<Output = Result<(), Error>>>(test: impl Fn() -> F) {
    let _watchdog = watchdog(4 * PATIENCE);
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one.block_on(test()).unwrap();
    let several = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    several.block_on(test()).unwrap();
}

/// A client and a server that take so many handles with a message.
async fn packets(max_handles: usize) -> Result<(PacketStream, PacketStream), Error> {
    let mut options = Blocking::options().packets();
    options.max_handles(max_handles);
    let listener = PacketListener::from_blocking(options.bind(&endpoint())?)?;
    let mut options = StreamOptions::default().packets();
    options.max_handles(max_handles);
    let client = PacketStream::connect_with(&options, listener.endpoint()).await?;
    Ok((client, listener.accept().await?.0))
}

async fn frames(max_handles: usize) -> Result<(Stream, Stream), Error> {
    let listener = Listener::from_blocking(Blocking::options().max_handles(max_handles).bind(&endpoint())?)?;
    let mut options = StreamOptions::default();
    options.max_handles(max_handles);
    let client = Stream::connect_with(&options, listener.endpoint()).await?;
    Ok((client, listener.accept().await?.0))
}

/// The reading end of a pipe, and the writing end as a handle.
fn pipe() -> (PipeReader, Handle) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, Handle::from(OwnedFd::from(writer)))
}

fn write(handle: Handle, number: u32) {
    File::from(OwnedFd::from(handle)).write_all(&number.to_le_bytes()).unwrap();
}

/// What was written, once nobody has the writing end open any more.
fn read(mut reader: PipeReader) -> Option<u32> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes.try_into().ok().map(u32::from_le_bytes)
}

fn message(number: u32, len: usize) -> Vec<u8> {
    let mut message = number.to_le_bytes().to_vec();
    message.extend((0..len).map(|at| (at as u32 * 31 + number) as u8));
    message
}

fn number_of(message: &[u8]) -> u32 {
    let number = u32::from_le_bytes(message[..4].try_into().unwrap());
    assert_eq!(message, crate::message(number, message.len() - 4), "message {number}");
    number
}

/// Lengths of messages: copied ones, and ones that take several steps.
fn len(number: u32) -> usize {
    [0, 10, 3000, 50_000][number as usize % 4]
}

#[test]
fn packets_come_as_they_were_sent_and_the_end_is_told() {
    on_each(async || {
        let (client, mut server) = packets(0).await?;
        assert!(server.try_recv()?.is_none());
        assert!(client.try_send(b"tried")?);
        assert_eq!(server.recv().await?, b"tried");
        let sender = client.sender().clone();
        let sending = tokio::spawn(async move {
            for number in 0..200 {
                sender.send(&message(number, len(number))).await?;
            }
            Ok::<_, Error>(())
        });
        for number in 0..200 {
            assert_eq!(number_of(server.recv().await?), number);
        }
        sending.await.unwrap()?;
        let too_long = client.send(&vec![0; client.sender().longest() + 1]).await.unwrap_err();
        assert!(matches!(too_long.kind(), ErrorKind::TooLarge { .. }), "{too_long}");
        client.end_sending()?;
        assert_eq!(server.recv().await.unwrap_err().kind(), ErrorKind::Disconnected);
        server.send(b"back").await?;
        let mut client = client.into_blocking();
        assert_eq!(client.recv()?, b"back");
        drop(server);
        assert_eq!(client.recv().unwrap_err().kind(), ErrorKind::Disconnected);
        Ok(())
    });
}

/// Each packet with a handle of its own: none of them is lost, doubled or given to another packet.
#[test]
fn receiving_packets_with_handles_is_cancel_safe() {
    on_each(async || {
        const COUNT: u32 = 200;
        let (client, mut server) = packets(1).await?;
        assert!(at_most(1, server.recv_with_handles()).await.is_none());
        let sending = tokio::spawn(async move {
            let mut readers = Vec::new();
            for number in 0..COUNT {
                let (reader, handle) = pipe();
                client.send_with_handles(&message(number, len(number)), &[&handle]).await?;
                readers.push(reader);
                if number % 5 == 0 {
                    tokio::time::sleep(MS).await;
                }
            }
            Ok::<_, Error>((client, readers))
        });
        let (mut random, mut next) = (Random::new(1), 0);
        while next < COUNT {
            let Some(received) = a_few(&mut random, server.recv_with_handles()).await else { continue };
            let (packet, mut handles) = received?;
            assert_eq!((number_of(packet), handles.len()), (next, 1));
            write(handles.remove(0), next);
            next += 1;
        }
        let (client, readers) = sending.await.unwrap()?;
        for (number, reader) in (0..).zip(readers) {
            assert_eq!(read(reader), Some(number));
        }
        client.send(b"last").await?;
        while a_few(&mut random, server.recv()).await.transpose()?.is_none() {}
        Ok(())
    });
}

/// A dropped send sent nothing, and its handles were closed; one that was ready sent all.
#[test]
fn sending_packets_with_handles_is_cancel_safe() {
    on_each(async || {
        let (client, server) = packets(1).await?;
        let (mut server, mut receiving) = (Some(server), None);
        let (mut done, mut dropped, mut random) = (Vec::new(), Vec::new(), Random::new(2));
        for number in 0..300 {
            let (reader, handle) = pipe();
            let packet = message(number, 10_000);
            // More than the system holds, before anything is received.
            let polls = if server.is_some() { 1 } else { 1 + random.below(3) };
            match at_most(polls, client.send_with_handles(&packet, &[&handle])).await {
                Some(sent) => {
                    sent?;
                    done.push((number, reader));
                }
                None => dropped.push(reader),
            }
            if number == 100 {
                receiving = server.take().map(|server| tokio::spawn(receive_packets(server)));
            }
        }
        let packet = message(1000, 0);
        // Until it is ready, and not once more.
        while a_few(&mut random, client.send(&packet)).await.transpose()?.is_none() {}
        drop(client);
        let got = receiving.unwrap().await.unwrap();
        let expected: Vec<u32> = done.iter().map(|(number, _)| *number).chain([1000]).collect();
        assert_eq!(got, expected);
        assert!(!dropped.is_empty(), "none was dropped");
        for (number, reader) in done {
            assert_eq!(read(reader), Some(number));
        }
        assert!(dropped.into_iter().all(|reader| read(reader).is_none()));
        Ok(())
    });
}

async fn receive_packets(mut server: PacketStream) -> Vec<u32> {
    let mut got = Vec::new();
    loop {
        match server.recv_with_handles().await {
            Ok((packet, handles)) => {
                let number = number_of(packet);
                handles.into_iter().for_each(|handle| write(handle, number));
                got.push(number);
            }
            Err(error) if error.kind() == ErrorKind::Disconnected => return got,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn accepting_packets_is_cancel_safe() {
    on_each(async || {
        const CLIENTS: u32 = 100;
        let listener = PacketListener::bind(&endpoint())?;
        assert!(at_most(1, listener.accept()).await.is_none());
        let address = listener.endpoint().clone();
        let connecting = tokio::spawn(async move {
            let mut clients = Vec::new();
            for number in 0..CLIENTS {
                let client = PacketStream::connect(&address).await?;
                client.send(&message(number, 0)).await?;
                clients.push(client);
            }
            Ok::<_, Error>(clients)
        });
        let (mut random, mut next) = (Random::new(3), 0);
        while next < CLIENTS {
            let Some(accepted) = a_few(&mut random, listener.accept()).await else { continue };
            let (mut server, _) = accepted?;
            assert_eq!(number_of(server.recv().await?), next);
            next += 1;
        }
        assert_eq!(listener.refused_connections(), 0);
        drop(connecting.await.unwrap()?);
        Ok(())
    });
}

/// Each frame brings its own handle, however it is gathered and split on the way, and whichever futures are dropped.
#[test]
fn frames_with_handles_are_cancel_safe_on_both_sides() {
    on_each(async || {
        const COUNT: u32 = 150;
        let (client, server) = frames(1).await?;
        let (mut client, _back) = client.split().await?;
        let (_back, mut server) = server.split().await?;
        let full = Arc::new(AtomicBool::new(false));
        let is_full = Arc::clone(&full);
        let sending = tokio::spawn(async move {
            let (mut random, mut readers) = (Random::new(4), Vec::new());
            for number in 0..COUNT {
                let (reader, handle) = pipe();
                let frame = message(number, 2 * len(number));
                // More than the system holds, before anything is received.
                let polls = if full.load(Ordering::SeqCst) { 1 + random.below(3) } else { 1 };
                match at_most(polls, client.send_with_handles(&frame, &[&handle])).await {
                    Some(sent) => {
                        sent?;
                        readers.push((number, true, reader));
                    }
                    // It went whole, or not at all.
                    None => {
                        readers.push((number, false, reader));
                        full.store(true, Ordering::SeqCst);
                    }
                }
            }
            while a_few(&mut random, client.flush()).await.transpose()?.is_none() {}
            while a_few(&mut random, client.end_sending()).await.transpose()?.is_none() {}
            Ok::<_, Error>((client, readers))
        });
        while !is_full.load(Ordering::SeqCst) {
            tokio::time::sleep(MS).await;
        }
        let (mut random, mut got) = (Random::new(5), Vec::new());
        loop {
            match a_few(&mut random, server.recv_with_handles()).await {
                Some(Ok((frame, mut handles))) => {
                    let number = number_of(frame);
                    assert_eq!(handles.len(), 1, "frame {number}");
                    write(handles.remove(0), number);
                    got.push(number);
                }
                Some(Err(error)) => {
                    assert!(error.kind() == ErrorKind::Disconnected && server.peer_ended(), "{error}");
                    break;
                }
                None => {}
            }
        }
        let (_client, readers) = sending.await.unwrap()?;
        assert!(got.windows(2).all(|pair| pair[0] < pair[1]), "{got:?}");
        for (number, done, reader) in readers {
            let came = got.contains(&number);
            assert!(came || !done, "frame {number} is lost");
            assert_eq!(read(reader), came.then_some(number), "frame {number}");
        }
        Ok(())
    });
}

#[test]
fn handles_are_limited_and_tried_without_waiting() {
    on_each(async || {
        let (mut client, mut server) = frames(2).await?;
        assert!(server.try_recv_with_handles()?.is_none());
        let (reader, handle) = pipe();
        client.send(b"introduced").await?;
        assert_eq!(server.recv().await?, b"introduced");
        let error = client.send_with_handles(b"x", &[&handle; 3]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
        assert!(client.try_send_with_handles(b"two", &[&handle; 2])?);
        drop(handle);
        let (frame, handles) = server.recv_with_handles().await?;
        assert_eq!((frame, handles.len()), (&b"two"[..], 2));
        handles.into_iter().take(1).for_each(|handle| write(handle, 7));
        assert_eq!(read(reader), Some(7));
        let (client, mut server) = packets(2).await?;
        let (_reader, handle) = pipe();
        assert!(client.sender().try_send_with_handles(b"more than it takes", &[&handle; 3])?);
        let error = server.recv_with_handles().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
        assert!(client.sender().try_send_with_handles(b"as many as it takes", &[&handle; 2])?);
        assert_eq!(timeout(PATIENCE, server.recv_with_handles()).await.unwrap()?.1.len(), 2);
        assert!(server.try_recv_with_handles()?.is_none());
        Ok(())
    });
}

/// Over TCP there are none, which is said before anything is sent.
#[test]
fn the_network_carries_no_handles() {
    on_each(async || {
        let listener = Listener::bind("tcp:127.0.0.1:0")?;
        let mut client = Stream::connect(listener.endpoint()).await?;
        let _server = listener.accept().await?;
        let (_reader, handle) = pipe();
        let error = client.send_with_handles(b"x", &[&handle]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert_eq!(client.peer_process().unwrap_err().kind(), ErrorKind::Unsupported);
        let error = PacketStream::connect(listener.endpoint()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        Ok(())
    });
}

/// What is sent from a name and what is sent by a connected socket wait for room each in its way.
#[test]
fn datagrams_are_cancel_safe_on_both_sides() {
    on_each(async || {
        const COUNT: u32 = 200;
        let mut server = Datagram::bind(&endpoint())?;
        let named = Datagram::bind(&endpoint())?;
        let connected = Datagram::connect(server.endpoint())?;
        let address = server.endpoint().clone();
        assert_eq!(named.send(b"to nobody").await.unwrap_err().kind(), ErrorKind::ApiMisuse);
        let dropped = Arc::new(AtomicU32::new(0));
        let mut sending = Vec::new();
        for (seed, sender, to) in [(1, named.sender(), Some(address)), (2, connected.sender(), None)] {
            let (sender, dropped) = (sender.clone(), Arc::clone(&dropped));
            sending.push(tokio::spawn(async move {
                let mut random = Random::new(seed);
                for number in 0..COUNT {
                    let datagram = message(number, 100);
                    loop {
                        // Nobody wakes who waits before anything is received.
                        let polls = if dropped.load(Ordering::Relaxed) < 3 { 1 } else { 1 + random.below(3) };
                        let sent = match &to {
                            Some(to) => at_most(polls, sender.send_to(to, &datagram)).await,
                            None => at_most(polls, sender.send(&datagram)).await,
                        };
                        match sent {
                            Some(sent) => break sent?,
                            // Nothing was sent: it is sent again, and comes once.
                            None => dropped.fetch_add(1, Ordering::Relaxed),
                        };
                        tokio::task::yield_now().await;
                    }
                }
                Ok::<_, Error>(())
            }));
        }
        // Until the queue is full and sending had to wait.
        while dropped.load(Ordering::Relaxed) < 3 {
            tokio::time::sleep(MS).await;
        }
        let (mut random, mut next) = (Random::new(6), [0, 0]);
        while next != [COUNT, COUNT] {
            let Some(received) = a_few(&mut random, server.recv_from()).await else { continue };
            let (datagram, origin) = received?;
            let of = usize::from(origin.endpoint.as_ref() != Some(named.endpoint()));
            assert_eq!(number_of(datagram), next[of]);
            next[of] += 1;
        }
        for task in sending {
            task.await.unwrap()?;
        }
        assert!(server.try_recv()?.is_none() && server.try_recv_from()?.is_none());
        Ok(())
    });
}

/// Nobody wakes who waits for another socket's room but that room.
#[test]
fn who_waits_for_a_datagrams_receiver_is_woken() {
    on_each(async || {
        let mut server = Datagram::bind(&endpoint())?;
        let filling = Datagram::bind(&endpoint())?;
        while filling.try_send_to(server.endpoint(), b"full")? {}
        let (named, connected) = (Datagram::bind(&endpoint())?, Datagram::connect(server.endpoint())?);
        let address = server.endpoint().clone();
        let waiting = tokio::spawn(async move {
            // Neither of the two has anything of its own in the queue.
            let (one, other) = tokio::join!(named.send_to(&address, b"late"), connected.send(b"late"));
            one.and(other)
        });
        tokio::time::sleep(20 * MS).await;
        assert!(!waiting.is_finished());
        let mut late = 0;
        while late < 2 {
            late += u32::from(timeout(PATIENCE, server.recv()).await.unwrap()? == b"late");
        }
        waiting.await.unwrap()?;
        let gone = server.endpoint().clone();
        drop(server);
        assert_eq!(filling.send_to(&gone, b"x").await.unwrap_err().kind(), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
#[ignore = "a child process"]
fn role_peer() {
    let Some(role) = role("role_peer") else { return };
    let _stream = crossing_net::Stream::connect(&role.argument("endpoint")).unwrap();
    role.pause();
}

#[test]
fn a_peers_death_is_waited_for() {
    on_each(async || {
        let listener = Listener::bind(&endpoint())?;
        let address = listener.endpoint().to_string();
        let mut child = Child::role("role_peer").argument("endpoint", &address).spawn();
        let (server, _) = listener.accept().await?;
        let process: PeerProcess = server.peer_process()?;
        assert!(process.is_running() && at_most(1, process.wait()).await.is_none());
        let killing = tokio::task::spawn_blocking(move || child.kill());
        timeout(PATIENCE, process.wait()).await.unwrap()?;
        assert!(!process.is_running() && !process.into_blocking().is_running());
        killing.await.unwrap();
        Ok(())
    });
}

/// The connection that a dropped future was making is closed at once when it comes about: nobody is left to serve.
#[test]
fn connecting_that_is_dropped_leaves_no_connection() {
    on_each(async || {
        for endpoint in [endpoint(), "tcp:127.0.0.1:0".to_owned()] {
            let listener = Listener::bind(&endpoint)?;
            let address: &Endpoint = listener.endpoint();
            drop(at_most(1, Stream::connect(address)).await);
            let (mut server, _) = timeout(PATIENCE, listener.accept()).await.unwrap()?;
            let error = timeout(PATIENCE, server.recv()).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            drop(at_most(1, RawStream::connect(address)).await);
            let (server, _) = timeout(PATIENCE, listener.accept_raw()).await.unwrap()?;
            let end = timeout(PATIENCE, server.read(&mut [0; 8])).await.unwrap();
            assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        }
        let listener = PacketListener::bind(&endpoint())?;
        drop(at_most(1, PacketStream::connect(listener.endpoint())).await);
        let (mut server, _) = timeout(PATIENCE, listener.accept()).await.unwrap()?;
        let error = timeout(PATIENCE, server.recv()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        Ok(())
    });
}
