//! Sessions for tokio: futures that are dropped half-way, connections that break, a thousand sessions on one thread.
#![cfg(unix)]

use crossing_net::tokio::{Session, SessionListener};
use crossing_net::{Error, ErrorKind, Listener, SessionConnector, SessionEvent, SessionOptions, Stream};
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::{FaultProxy, Faults, Random};
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);

fn endpoints() -> Vec<String> {
    let path = std::env::temp_dir().join(unique_name("crossing-tokio-session"));
    vec!["tcp:127.0.0.1:0".into(), format!("unix:{}", path.display())]
}

fn options() -> SessionOptions {
    let mut options = SessionOptions::default();
    options.backoff(MS, MS * 20);
    options
}

fn connector(options: &SessionOptions) -> SessionConnector {
    Stream::options().session(options)
}

fn listen(options: &SessionOptions, endpoint: &str) -> Result<SessionListener, Error> {
    Ok(SessionListener::from_blocking(Listener::options().session(options).bind(endpoint)?))
}

fn block_on<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}

/// Runs it over each mechanism, on one thread and on several.
fn over_each<F: Future<Output = Result<(), Error>>>(test: impl Fn(String) -> F) {
    let _watchdog = watchdog(8 * PATIENCE);
    for endpoint in endpoints() {
        block_on(test(endpoint.clone())).unwrap();
        let several =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        several.block_on(test(endpoint)).unwrap();
    }
}

/// Sends the numbers in their order, dropping futures half-way; gives how many were dropped.
async fn send_all(session: &Session, count: u32, seed: u64) -> Result<u32, Error> {
    let (mut random, mut number, mut dropped) = (Random::new(seed), 0, 0);
    while number < count {
        let message = [&number.to_le_bytes()[..], &vec![number as u8; random.below(3000) as usize]].concat();
        match a_few(&mut random, session.send(&message)).await {
            Some(sent) => {
                sent?;
                number += 1;
            }
            None => dropped += 1,
        }
    }
    Ok(dropped)
}

/// Receives them, dropping futures half-way; gives how many were dropped.
async fn recv_all(session: &mut Session, count: u32, seed: u64) -> Result<u32, Error> {
    let (mut random, mut wanted, mut dropped) = (Random::new(seed), 0, 0);
    while wanted < count {
        match a_few(&mut random, session.recv()).await {
            Some(message) => {
                let message = message?;
                assert_eq!(message[..4], wanted.to_le_bytes(), "lost, doubled or out of order");
                assert!(message[4..].iter().all(|byte| *byte == wanted as u8));
                wanted += 1;
            }
            None => dropped += 1,
        }
    }
    Ok(dropped)
}

#[test]
fn sending_and_receiving_are_cancel_safe() {
    over_each(async |endpoint| {
        const COUNT: u32 = 3000;
        let mut options = options();
        // A few messages fill it, so that sending waits.
        options.resend_bytes(20_000).window_bytes(20_000);
        let listener = listen(&options, &endpoint)?;
        let mut client = Session::connect_with(&connector(&options), listener.endpoint()).await?;
        let (mut server, _) = listener.accept().await?;
        let sending = tokio::spawn(async move {
            let dropped = send_all(&client, COUNT, 1).await?;
            client.flush().await?;
            Ok::<_, Error>((dropped, recv_all(&mut client, COUNT, 2).await?, client))
        });
        let dropped = recv_all(&mut server, COUNT, 3).await?;
        assert!(dropped > 0, "no receiving was dropped");
        send_all(&server, COUNT, 4).await?;
        let (dropped, _, client) = sending.await.unwrap()?;
        assert!(dropped > 0, "no sending was dropped");
        let (one, other) = tokio::join!(client.close(PATIENCE), server.close(PATIENCE));
        one.and(other)
    });
}

/// Connections break all the time, and futures are dropped all the time: each message comes once, in order.
#[test]
fn nothing_is_lost_when_connections_break_and_futures_are_dropped() {
    let _watchdog = watchdog(8 * PATIENCE);
    block_on(async {
        const COUNT: u32 = 600;
        let mut options = options();
        options.resend_bytes(50_000).dead_after(Duration::from_secs(5));
        let listener = listen(&options, "tcp:127.0.0.1:0")?;
        let address: SocketAddr = listener.endpoint().to_string().trim_start_matches("tcp:").parse().unwrap();
        let faults = Faults { seed: 9, every: MS * 20, delay: MS, piece: 0, cuts_only: true };
        let proxy = FaultProxy::start(address, faults).unwrap();
        let target = format!("tcp:{}", proxy.address());
        let client = Session::connect_with(&connector(&options), &target).await?;
        let (mut server, _) = listener.accept().await?;
        let sending = tokio::spawn(async move {
            send_all(&client, COUNT, 5).await?;
            Ok::<_, Error>(client)
        });
        recv_all(&mut server, COUNT, 6).await?;
        let client = sending.await.unwrap()?;
        assert!(proxy.faults() > 0, "no connection broke");
        let mut seen = Vec::new();
        while let Some(event) = client.try_event() {
            seen.push(event);
        }
        assert!(seen.iter().any(|event| matches!(event, SessionEvent::Resumed { .. })), "{seen:?}");
        Ok::<_, Error>(())
    })
    .unwrap();
}

/// The session that a dropped future was beginning is given up at once, and the listener goes on.
#[test]
fn connecting_that_is_dropped_leaves_no_session() {
    over_each(async |endpoint| {
        let options = options();
        let listener = listen(&options, &endpoint)?;
        drop(at_most(1, Session::connect_with(&connector(&options), listener.endpoint())).await);
        let (mut server, _) = timeout(PATIENCE, listener.accept()).await.unwrap()?;
        let error = timeout(PATIENCE, server.recv()).await.unwrap().unwrap_err();
        assert!(error.kind() == ErrorKind::Disconnected && !server.peer_ended(), "{error}");
        let client = Session::connect_with(&connector(&options), listener.endpoint()).await?;
        client.send(b"goes on").await?;
        let (mut server, _) = timeout(PATIENCE, listener.accept()).await.unwrap()?;
        assert_eq!(timeout(PATIENCE, server.recv()).await.unwrap()?, b"goes on");
        Ok(())
    });
}

#[test]
fn events_are_told_each_once_until_the_end() {
    over_each(async |endpoint| {
        let options = options();
        let listener = listen(&options, &endpoint)?;
        let mut random = Random::new(7);
        let client = Session::connect_with(&connector(&options), listener.endpoint()).await?;
        let (mut server, _) = listener.accept().await?;
        let events = async |session: &Session, random: &mut Random| {
            let mut events = Vec::new();
            loop {
                match a_few(random, session.event()).await {
                    Some(Some(event)) => events.push(event),
                    Some(None) => return events,
                    None => {}
                }
            }
        };
        // The end of both sides is the end of the session, and of its events.
        client.send(b"last").await?;
        client.end_sending();
        assert_eq!(server.recv().await?, b"last");
        assert_eq!(server.recv().await.unwrap_err().kind(), ErrorKind::Disconnected);
        assert!(server.peer_ended());
        server.end_sending();
        let mut client = client;
        assert_eq!(client.recv().await.unwrap_err().kind(), ErrorKind::Disconnected);
        for session in [&client, &server] {
            let events = timeout(PATIENCE, events(session, &mut random)).await.unwrap();
            let connected = events.iter().filter(|event| matches!(event, SessionEvent::Connected)).count();
            assert_eq!(connected, 1, "{events:?}");
            assert!(session.event().await.is_none());
        }
        Ok(())
    });
}

#[test]
fn accepting_flushing_and_closing_wait_for_what_they_say() {
    over_each(async |endpoint| {
        let options = options();
        let listener = listen(&options, &endpoint)?;
        let mut random = Random::new(8);
        assert!(at_most(1, listener.accept()).await.is_none());
        let client = Session::connect_with(&connector(&options), listener.endpoint()).await?;
        let mut server = loop {
            if let Some(accepted) = a_few(&mut random, listener.accept()).await {
                break accepted?.0;
            }
        };
        assert!(listener.try_accept()?.is_none() && listener.sessions() == 1);
        let sender = client.sender();
        sender.send(b"one").await?;
        // Nobody took it yet.
        for _ in 0..20 {
            assert!(at_most(1, client.flush()).await.is_none());
        }
        assert_eq!(server.recv().await?, b"one");
        // Taking it is acknowledged.
        timeout(PATIENCE, client.flush()).await.unwrap()?;
        // One that is dropped while it closes is given up.
        assert!(at_most(1, client.close(PATIENCE)).await.is_none());
        let lost = timeout(PATIENCE, server.recv()).await.unwrap().unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Disconnected);
        assert_eq!(sender.send(b"two").await.unwrap_err().kind(), ErrorKind::Disconnected);
        // A peer that does not take what was sent is told of in time.
        let client = Session::connect_with(&connector(&options), listener.endpoint()).await?;
        let (server, _) = listener.accept().await?;
        client.send(b"never taken").await?;
        assert_eq!(client.close(MS * 50).await.unwrap_err().kind(), ErrorKind::TimedOut);
        drop(server);
        Ok(())
    });
}

/// Tasks that wait for room in one session each come to it.
#[test]
fn many_tasks_share_a_session() {
    over_each(async |endpoint| {
        const TASKS: u32 = 50;
        const EACH: u32 = 40;
        let mut options = options();
        options.resend_bytes(2000).window_bytes(2000);
        let listener = listen(&options, &endpoint)?;
        let client = Session::connect_with(&connector(&options), listener.endpoint()).await?;
        let (mut server, _) = listener.accept().await?;
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let sender = client.sender();
            tasks.push(tokio::spawn(async move {
                let mut random = Random::new(task.into());
                let mut number = 0;
                while number < EACH {
                    let message = [task.to_le_bytes(), number.to_le_bytes()].concat();
                    if let Some(sent) = a_few(&mut random, sender.send(&message)).await {
                        sent?;
                        number += 1;
                    }
                }
                Ok::<_, Error>(())
            }));
        }
        let mut next = [0; TASKS as usize];
        for _ in 0..TASKS * EACH {
            let message = server.recv().await?;
            let part = |at: usize| u32::from_le_bytes(message[at..at + 4].try_into().unwrap());
            let (task, number) = (part(0) as usize, part(4));
            assert_eq!(number, next[task], "lost, doubled or out of order");
            next[task] += 1;
        }
        for task in tasks {
            task.await.unwrap()?;
        }
        Ok(())
    });
}

#[test]
fn a_thousand_sessions_on_one_thread() {
    const SESSIONS: usize = 1000;
    let _watchdog = watchdog(8 * PATIENCE);
    let path = std::env::temp_dir().join(unique_name("crossing-tokio-session"));
    block_on(async {
        let mut options = options();
        // Machines that are busy are late with heartbeats.
        options.max_sessions(SESSIONS).dead_after(2 * PATIENCE);
        let listener = listen(&options, &format!("unix:{}", path.display()))?;
        let (address, connector) = (listener.endpoint().clone(), connector(&options));
        let clients = tokio::spawn(async move {
            let mut clients = Vec::new();
            for _ in 0..SESSIONS {
                clients.push(Session::connect_with(&connector, &address).await?);
            }
            let tasks: Vec<_> = clients
                .into_iter()
                .enumerate()
                .map(|(number, mut client)| {
                    tokio::spawn(async move {
                        for round in 0..3_usize {
                            let message = [number.to_le_bytes(), round.to_le_bytes()].concat();
                            client.send(&message).await?;
                            assert_eq!(client.recv().await?, message);
                        }
                        client.close(2 * PATIENCE).await
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap()?;
            }
            Ok::<_, Error>(())
        });
        let mut echoes = Vec::new();
        for _ in 0..SESSIONS {
            let (mut session, _) = listener.accept().await?;
            echoes.push(tokio::spawn(async move {
                while let Ok(message) = session.recv().await {
                    let message = message.to_vec();
                    session.send(&message).await?;
                }
                assert!(session.peer_ended());
                session.close(2 * PATIENCE).await
            }));
        }
        clients.await.unwrap()?;
        for echo in echoes {
            echo.await.unwrap()?;
        }
        Ok::<_, Error>(())
    })
    .unwrap();
}
