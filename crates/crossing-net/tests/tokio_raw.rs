//! Bare bytes, batches and halves for tokio: over each mechanism, with futures that are dropped half-way.
#![cfg(unix)]

use crossing_net::tokio::{Listener, RawStream, Stream};
use crossing_net::{Error, ErrorKind, ListenerOptions, StreamOptions};
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::Random;
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);

/// How to listen and to connect, and where.
#[derive(Clone)]
struct Way {
    endpoint: String,
    listener: ListenerOptions,
    stream: StreamOptions,
}

fn ways() -> Vec<Way> {
    let path = std::env::temp_dir().join(unique_name("crossing-tokio-raw"));
    let plain = |endpoint: String| Way {
        endpoint,
        listener: ListenerOptions::default(),
        stream: StreamOptions::default(),
    };
    let ways = vec![plain("tcp:127.0.0.1:0".into()), plain(format!("unix:{}", path.display()))];
    #[cfg(feature = "dev-cert")]
    let ways = [ways, vec![tls()]].concat();
    ways
}

#[cfg(feature = "dev-cert")]
fn tls() -> Way {
    use crossing_net::{DevAuthority, TlsOptions};
    // Read when listening and connecting, so they stay until the system clears its temporary files.
    let directory = std::env::temp_dir().join(unique_name("crossing-tokio-tls"));
    let authority = DevAuthority::new(&unique_name("authority")).unwrap();
    let certificate = authority.issue(&["127.0.0.1"], Duration::from_secs(86_400)).unwrap();
    authority.write(&directory, &[("server", &certificate)]).unwrap();
    let mut server = TlsOptions::new();
    server.identity(directory.join("server.pem"), directory.join("server.key"));
    let mut client = TlsOptions::new();
    client.trust_file(directory.join("ca.pem"));
    let (mut listener, mut stream) = (ListenerOptions::default(), StreamOptions::default());
    listener.tls(&server);
    stream.tls(&client);
    Way { endpoint: "tls:127.0.0.1:0".into(), listener, stream }
}

/// Runs it over each mechanism, on one thread and on several.
fn over_each<F: Future<Output = Result<(), Error>>>(test: impl Fn(Way) -> F) {
    let _watchdog = watchdog(8 * PATIENCE);
    for way in ways() {
        let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        one.block_on(test(way.clone())).unwrap();
        let several =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        several.block_on(test(way)).unwrap();
    }
}

async fn raw_pair(way: &Way) -> Result<(RawStream, RawStream), Error> {
    let listener = Listener::from_blocking(way.listener.bind(&*way.endpoint)?)?;
    let client = RawStream::connect_with(&way.stream.raw(), listener.endpoint()).await?;
    Ok((client, listener.accept_raw().await?.0))
}

async fn pair(way: &Way) -> Result<(Stream, Stream), Error> {
    let listener = Listener::from_blocking(way.listener.bind(&*way.endpoint)?)?;
    let client = Stream::connect_with(&way.stream, listener.endpoint()).await?;
    Ok((client, listener.accept().await?.0))
}

/// The byte at `at` of what each test sends.
fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

#[test]
fn bytes_go_both_ways_at_once() {
    over_each(async |way| {
        const LEN: usize = 3 << 20;
        let (client, server) = raw_pair(&way).await?;
        let bytes: Vec<u8> = (0..LEN).map(byte).collect();
        // Each side writes all before it reads: more than the system holds, so each has to read while it writes.
        let both = async |end: RawStream| {
            let (end, writer) = (std::sync::Arc::new(end), bytes.clone());
            let writing = tokio::spawn({
                let end = std::sync::Arc::clone(&end);
                async move {
                    end.write_all(&writer).await?;
                    end.shutdown_write().await
                }
            });
            assert!(end.read_to_end(LEN).await? == bytes);
            writing.await.unwrap()
        };
        let (one, other) = tokio::join!(both(client), both(server));
        one.and(other)
    });
}

#[test]
fn reading_and_writing_are_cancel_safe() {
    over_each(async |way| {
        const LEN: usize = 1 << 20;
        let (client, server) = raw_pair(&way).await?;
        let writing = tokio::spawn(async move {
            let (mut random, mut at, mut dropped) = (Random::new(1), 0, 0);
            while at < LEN {
                let piece: Vec<u8> =
                    (at..LEN.min(at + 1 + random.below(70_000) as usize)).map(byte).collect();
                match a_few(&mut random, client.write(&piece)).await {
                    Some(len) => at += len?,
                    None => dropped += 1,
                }
                if a_few(&mut random, client.flush()).await.transpose()?.is_none() {
                    dropped += 1;
                }
                if random.below(4) == 0 {
                    tokio::task::yield_now().await;
                }
            }
            while a_few(&mut random, client.shutdown_write()).await.transpose()?.is_none() {}
            Ok::<_, Error>(dropped)
        });
        let (mut random, mut at, mut dropped) = (Random::new(2), 0, 0);
        let mut buffer = vec![0; 10_000];
        loop {
            let space = 1 + random.below(9_999) as usize;
            match a_few(&mut random, server.read(&mut buffer[..space])).await {
                Some(Ok(0)) => break,
                Some(len) => {
                    for got in &buffer[..len?] {
                        assert_eq!(*got, byte(at), "at {at}");
                        at += 1;
                    }
                }
                None => dropped += 1,
            }
        }
        assert_eq!(at, LEN);
        dropped += writing.await.unwrap()?;
        assert!(dropped > 0, "none was dropped");
        Ok(())
    });
}

async fn poll_read(stream: &mut RawStream, space: &mut [u8]) -> io::Result<usize> {
    let mut buffer = ReadBuf::new(space);
    poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut buffer)).await?;
    Ok(buffer.filled().len())
}

#[test]
fn it_is_what_tokio_reads_and_writes() {
    over_each(async |way| {
        const LEN: usize = 1 << 20;
        let (mut client, mut server) = raw_pair(&way).await?;
        let writing = tokio::spawn(async move {
            let (mut random, mut at) = (Random::new(3), 0);
            while at < LEN {
                let piece: Vec<u8> = (at..LEN.min(at + 50_000)).map(byte).collect();
                let write = poll_fn(|context| Pin::new(&mut client).poll_write(context, &piece));
                if let Some(len) = a_few(&mut random, write).await {
                    at += len.unwrap();
                }
            }
            poll_fn(|context| Pin::new(&mut client).poll_flush(context)).await.unwrap();
            poll_fn(|context| Pin::new(&mut client).poll_shutdown(context)).await.unwrap();
            client
        });
        let (mut random, mut at) = (Random::new(4), 0);
        let mut space = vec![0; 30_000];
        loop {
            match a_few(&mut random, poll_read(&mut server, &mut space)).await.transpose().unwrap() {
                Some(0) => break,
                Some(len) => {
                    assert!(space[..len].iter().enumerate().all(|(more, got)| *got == byte(at + more)));
                    at += len;
                }
                None => {}
            }
        }
        assert_eq!(at, LEN);
        drop(writing.await.unwrap());
        Ok(())
    });
}

#[test]
fn it_changes_to_blocking_and_back() {
    over_each(async |way| {
        let (client, server) = raw_pair(&way).await?;
        let mut space = [0; 3];
        // At once: over TLS the one writes when the other has read.
        let (written, read) = tokio::join!(client.write_all(b"one"), server.read(&mut space));
        written.and(read.map(|len| assert_eq!(len, 3)))?;
        let (client, server) = (client.into_blocking(), server.into_blocking());
        client.write_all_timeout(b"two", PATIENCE)?;
        assert_eq!(server.read_timeout(&mut space, PATIENCE)?, 3);
        assert_eq!(&space, b"two");
        let (client, server) = (RawStream::from_blocking(client)?, RawStream::from_blocking(server)?);
        assert!(server.try_read(&mut space)?.is_none());
        client.write_all(b"three").await?;
        client.shutdown_write().await?;
        assert_eq!(server.read_to_end(4).await.unwrap_err().kind(), ErrorKind::TooLarge { len: 5, max: 4 });
        Ok(())
    });
}

#[test]
fn accepting_raw_is_cancel_safe() {
    over_each(async |way| {
        let listener = Listener::from_blocking(way.listener.bind(&*way.endpoint)?)?;
        let (address, options) = (listener.endpoint().clone(), way.stream.raw());
        let clients = tokio::spawn(async move {
            let mut clients = Vec::new();
            for number in 0..100_u8 {
                let client = RawStream::connect_with(&options, &address).await?;
                client.write_all(&[number]).await?;
                clients.push(client);
            }
            Ok::<_, Error>(clients)
        });
        let (mut random, mut seen) = (Random::new(5), Vec::new());
        while seen.len() < 100 {
            let Some(accepted) = a_few(&mut random, listener.accept_raw()).await else { continue };
            let (stream, mut number) = (accepted?.0, [0]);
            // Over TLS the client writes when hands were shaken, which this side's reading does.
            assert_eq!(timeout(PATIENCE, stream.read(&mut number)).await.unwrap()?, 1);
            seen.push(number[0]);
        }
        assert!(seen.iter().copied().eq(0..100), "{seen:?}");
        drop(clients.await.unwrap()?);
        Ok(())
    });
}

/// Frames of these numbers, some of them long.
fn frames(numbers: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    let frame = |number: u32| {
        let len = if number.is_multiple_of(50) { 20_000 } else { number as usize % 300 };
        [&number.to_le_bytes()[..], &vec![byte(number as usize); len]].concat()
    };
    numbers.map(frame).collect()
}

#[test]
fn batches_are_cancel_safe_and_halves_are_independent() {
    over_each(async |way| {
        const COUNT: u32 = 3000;
        let (client, server) = pair(&way).await?;
        let ((mut sending, mut replies), (mut answering, mut receiving)) =
            tokio::try_join!(client.split(), server.split())?;
        let sender = tokio::spawn(async move {
            let (mut random, mut at, mut dropped) = (Random::new(6), 0, 0);
            while at < COUNT {
                let batch = frames(at..COUNT.min(at + 1 + random.below(200) as u32));
                match a_few(&mut random, sending.send_some(&batch)).await {
                    Some(taken) => at += taken? as u32,
                    // Nothing of it went: the receiver would see a number twice.
                    None => dropped += 1,
                }
            }
            while a_few(&mut random, sending.end_sending()).await.transpose()?.is_none() {}
            Ok::<_, Error>(dropped)
        });
        let receiver = tokio::spawn(async move {
            let (mut random, mut wanted) = (Random::new(7), 0);
            loop {
                match a_few(&mut random, receiving.recv()).await {
                    Some(Err(error)) if receiving_ended(&error) => break,
                    Some(frame) => {
                        assert_eq!(
                            vec![frame?.to_vec()],
                            frames(wanted..wanted + 1),
                            "lost, doubled or torn"
                        );
                        wanted += 1;
                    }
                    None => {}
                }
            }
            assert!(receiving.peer_ended());
            assert_eq!(wanted, COUNT);
            Ok::<_, Error>(receiving)
        });
        // Meanwhile batches go the other way, in halves of the same connections.
        let answers = tokio::spawn(async move {
            for round in 0..20 {
                answering.send_many(&frames(round * 100..round * 100 + 100)).await?;
            }
            answering.end_sending().await
        });
        for wanted in 0..2000 {
            assert_eq!(vec![replies.recv().await?.to_vec()], frames(wanted..wanted + 1));
        }
        answers.await.unwrap()?;
        drop(receiver.await.unwrap()?);
        // How many depends on the machine: a connection of a few hundred KiB was full at times.
        let dropped: u32 = sender.await.unwrap()?;
        println!("{dropped} batches were dropped over {}", way.endpoint);
        Ok(())
    });
}

fn receiving_ended(error: &Error) -> bool {
    error.kind() == ErrorKind::Disconnected
}

#[test]
fn a_batch_that_is_dropped_half_way_went_in_part_and_each_frame_whole() {
    over_each(async |way| {
        let (mut client, mut server) = pair(&way).await?;
        let batch: Vec<Vec<u8>> = (0..2000_u32).map(|number| vec![number as u8; 4000]).collect();
        // 8 MB, which nobody receives meanwhile: it waits for room, and is dropped there.
        assert!(timeout(MS * 30, client.send_many(&batch)).await.is_err());
        let closing = tokio::spawn(client.close(PATIENCE));
        let mut count = 0;
        while let Ok(frame) = server.recv().await {
            assert_eq!(frame, vec![count as u8; 4000]);
            count += 1;
        }
        assert!(server.peer_ended() && count < 2000, "{count}");
        drop(server);
        closing.await.unwrap()
    });
}

#[test]
fn splitting_that_is_dropped_cuts_the_connection() {
    over_each(async |way| {
        let listener = Listener::from_blocking(way.listener.bind(&*way.endpoint)?)?;
        // Mute: no introduction comes, so there is something to wait for.
        let mute = RawStream::connect_with(&way.stream.raw(), listener.endpoint()).await?;
        let (stream, _) = listener.accept().await?;
        assert!(at_most(1, stream.split()).await.is_none());
        let end = timeout(PATIENCE, mute.read_to_end(1000)).await.unwrap();
        // TLS that is cut while hands are shaken says so.
        assert!(end.is_ok() || way.endpoint.starts_with("tls:"), "{end:?}");
        Ok(())
    });
}
