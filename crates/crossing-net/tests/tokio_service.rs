//! Services for tokio: many tasks on one client, futures that are dropped half-way, peers that do not read, a thousand clients on
//! one thread.
#![cfg(unix)]

use crossing_net::tokio::{Client, Listener, Request, Server, Stream};
use crossing_net::{CallError, Error, ErrorKind, Service, ServiceOptions, StreamOptions};
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::Random;
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);

fn endpoints() -> Vec<String> {
    let path = std::env::temp_dir().join(unique_name("crossing-tokio-service"));
    vec!["tcp:127.0.0.1:0".into(), format!("unix:{}", path.display())]
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

fn serve(options: &ServiceOptions, endpoint: &str) -> Result<Server, Error> {
    Ok(Server::from_blocking(options.serve(endpoint)?))
}

async fn next(server: &Server) -> Request {
    timeout(PATIENCE, server.recv()).await.expect("no request came").unwrap()
}

#[test]
fn many_tasks_call_one_client_and_futures_are_dropped_on_both_sides() {
    over_each(async |endpoint| {
        const TASKS: u32 = 40;
        const EACH: u32 = 100;
        let mut options = Service::options();
        // Tasks wait for their turn as well as for answers.
        options.max_in_flight(6);
        let server = serve(&options, &endpoint)?;
        let client = Client::connect_with(&options, server.endpoint()).await?;
        let servers: Vec<_> = (0..3)
            .map(|number| {
                let server = server.clone();
                tokio::spawn(async move {
                    let mut random = Random::new(50 + number);
                    loop {
                        let Some(request) = a_few(&mut random, server.recv()).await else { continue };
                        let request = request.unwrap();
                        if random.below(4) == 0 {
                            tokio::task::yield_now().await;
                        }
                        let answer = [request.payload(), b" answered"].concat();
                        // Once polled it goes, dropped or not; a client may be gone at the end.
                        let _ = a_few(&mut random, request.reply(&answer)).await;
                    }
                })
            })
            .collect();
        let dropped = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let (client, dropped) = (client.clone(), Arc::clone(&dropped));
                tokio::spawn(async move {
                    let mut random = Random::new(task.into());
                    let mut number = 0;
                    while number < EACH {
                        let request = format!("{task} {number} {}", "x".repeat(random.below(3000) as usize));
                        match a_few(&mut random, client.call(request.as_bytes())).await {
                            Some(answer) => {
                                assert_eq!(answer?, [request.as_bytes(), b" answered"].concat());
                                number += 1;
                            }
                            None => drop(dropped.fetch_add(1, Ordering::SeqCst)),
                        }
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap()?;
        }
        assert!(dropped.load(Ordering::SeqCst) > 0, "no call was dropped");
        // No place was lost by that: as many as may wait for replies at the same time.
        servers.iter().for_each(tokio::task::JoinHandle::abort);
        for server in servers {
            assert!(server.await.unwrap_err().is_cancelled());
        }
        let mut calls = Vec::new();
        for _ in 0..6 {
            calls.push(timeout(PATIENCE, client.begin(b"last", None)).await.unwrap()?);
        }
        assert!(at_most(1, client.begin(b"too many", None)).await.is_none());
        for mut call in calls {
            // Dropped half-way, it can be awaited again.
            assert!(at_most(1, call.ready()).await.is_none());
            let request = loop {
                let request = next(&server).await;
                if request.payload() == b"last" {
                    break request;
                }
            };
            request.reply(b"ok").await?;
            assert_eq!(timeout(PATIENCE, call.ready()).await.unwrap()?, b"ok");
        }
        Ok(())
    });
}

#[test]
fn a_call_that_is_dropped_is_cancelled_at_the_server() {
    over_each(async |endpoint| {
        let server = serve(&Service::options(), &endpoint)?;
        let client = Client::connect(server.endpoint()).await?;
        for round in 0..50_u32 {
            let calling = client.clone();
            let task = tokio::spawn(async move { calling.call(&round.to_le_bytes()).await });
            let request = next(&server).await;
            assert_eq!(request.payload(), round.to_le_bytes());
            assert!(at_most(1, request.cancelled()).await.is_none() && !request.is_cancelled());
            task.abort();
            timeout(PATIENCE, request.cancelled()).await.unwrap();
            assert!(request.is_cancelled());
            request.reply(b"nobody cares").await?;
        }
        // One that did not come to the server's application is not seen by it.
        drop(client.begin(b"dropped", None).await?);
        let call = client.begin(b"kept", None).await?;
        loop {
            // The notice may still be under way when the request is taken.
            let request = next(&server).await;
            match request.payload() {
                b"kept" => break request.reply(b"ok").await?,
                _ => timeout(PATIENCE, request.cancelled()).await.unwrap(),
            }
        }
        assert_eq!(call.wait().await?, b"ok");
        // And so it is when the client goes.
        let call = client.begin(b"x", None).await?;
        let request = next(&server).await;
        drop((call, client));
        timeout(PATIENCE, request.cancelled()).await.unwrap();
        Ok(())
    });
}

#[test]
fn what_the_server_says_and_does_not_say_is_told() {
    over_each(async |endpoint| {
        let server = serve(&Service::options(), &endpoint)?;
        let mut small = Service::options();
        small.stream(StreamOptions::default().max_frame_len(100));
        let client = Client::connect_with(&small, server.endpoint()).await?;
        let begin = async || client.begin(b"x", None).await.unwrap();
        let call = begin().await;
        next(&server).await.fail_with(404, "no such symbol").await?;
        let error = call.wait().await.unwrap_err();
        assert!(matches!(error.call(), Some(CallError::Application(said)) if said.code() == 404), "{error}");
        let call = begin().await;
        drop(next(&server).await);
        let error = call.wait().await.unwrap_err();
        assert_eq!(error.call(), Some(&CallError::Cancelled), "{error}");
        let call = begin().await;
        let error = next(&server).await.reply(&[0; 200]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
        assert_eq!(call.wait().await.unwrap_err().call(), Some(&CallError::Cancelled));
        // Time: the client's own, and as the server comes to it.
        let error = client.call_timeout(b"x", MS * 20).await.unwrap_err();
        assert_eq!(error.call(), Some(&CallError::DeadlinePassed), "{error}");
        assert!(server.try_recv()?.is_none_or(|request| request.deadline().is_some()));
        let call = client.begin(b"x", Instant::now() + MS * 300).await?;
        tokio::time::sleep(MS * 400).await;
        assert!(server.try_recv()?.is_none(), "it came too late");
        let error = timeout(PATIENCE, call.wait()).await.unwrap().unwrap_err();
        assert_eq!(error.call(), Some(&CallError::DeadlinePassed), "{error}");
        let call = begin().await;
        assert!(next(&server).await.stream().is_err());
        assert!(call.wait().await.unwrap_err().to_string().contains("call_stream"));
        // It dies: all are told, those in line too.
        let mut calls = Vec::new();
        for _ in 0..64 {
            calls.push(begin().await);
        }
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.call(b"in line").await }
        });
        drop(server);
        for call in calls {
            let error = timeout(PATIENCE, call.wait()).await.unwrap().unwrap_err();
            assert!(matches!(error.call(), Some(CallError::ServerDied | CallError::Cancelled)), "{error}");
        }
        let error = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap_err();
        assert!(matches!(error.call(), Some(CallError::ServerDied | CallError::NoServer)), "{error}");
        assert_eq!(client.call(b"x").await.unwrap_err().call(), Some(&CallError::NoServer));
        Ok(())
    });
}

/// A server that does not read: what is dropped half-way goes whole when it does, and it is told that nobody wants it.
#[test]
fn a_request_that_is_dropped_half_way_goes_whole_and_is_cancelled() {
    over_each(async |endpoint| {
        const LEN: usize = 8 << 20;
        let listener = Listener::bind(&endpoint)?;
        let address = listener.endpoint().clone();
        let accepting = tokio::spawn(async move {
            let mut stream = listener.accept().await?.0;
            // The introduction alone.
            assert!(timeout(MS * 50, stream.recv()).await.is_err());
            Ok::<_, Error>(stream)
        });
        let client = Client::connect(&address).await?;
        let mut stream = accepting.await.unwrap()?;
        // 8 MiB do not fit in between, so the call waits in the middle of its frame.
        assert!(timeout(MS * 50, client.call(&vec![7; LEN])).await.is_err());
        // Nor does a second one begin.
        assert!(timeout(MS * 50, client.call(b"second")).await.is_err());
        let frame = timeout(PATIENCE, stream.recv()).await.unwrap()?;
        assert!(frame.len() > LEN && frame.ends_with(&[7; 1000]));
        // The notice comes without that anybody calls again.
        let notice = timeout(PATIENCE, stream.recv()).await.unwrap()?;
        assert!(notice.len() < 64, "{} bytes", notice.len());
        assert!(timeout(MS * 30, stream.recv()).await.is_err(), "nothing else went");
        Ok(())
    });
}

/// A request, as it goes over the wire: the first bytes of what a client of ours sends.
async fn request_frame(payload: &[u8]) -> Result<Vec<u8>, Error> {
    let listener = Listener::bind("tcp:127.0.0.1:0")?;
    let (address, payload) = (listener.endpoint().clone(), payload.to_vec());
    let asking = tokio::spawn(async move { Client::connect(&address).await?.call(&payload).await });
    let (mut stream, _) = listener.accept().await?;
    let frame = stream.recv().await?.to_vec();
    asking.abort();
    Ok(frame)
}

/// A client that does not read: a reply that is dropped half-way goes on by itself, and others are answered meanwhile.
#[test]
fn a_reply_that_is_dropped_half_way_goes_on_by_itself() {
    over_each(async |endpoint| {
        const LEN: usize = 8 << 20;
        let mut options = Service::options();
        options.slow_client(PATIENCE);
        let server = serve(&options, &endpoint)?;
        let ask = request_frame(b"much").await?;
        let mut mute = Stream::connect(server.endpoint()).await?;
        mute.send(&ask).await?;
        let request = next(&server).await;
        assert_eq!(request.payload(), b"much");
        assert!(timeout(MS * 50, request.reply(&vec![9; LEN])).await.is_err());
        let other = Client::connect(server.endpoint()).await?;
        let call = other.begin(b"x", None).await?;
        next(&server).await.reply(b"y").await?;
        assert_eq!(timeout(PATIENCE, call.wait()).await.unwrap()?, b"y");
        let reply = timeout(PATIENCE, mute.recv()).await.unwrap()?;
        assert!(reply.len() > LEN && reply.ends_with(&[9; 1000]));
        // One that never reads is cut off, which nobody else notices.
        let server = serve(Service::options().slow_client(MS * 50), "tcp:127.0.0.1:0")?;
        let mut mute = Stream::connect(server.endpoint()).await?;
        mute.send(&ask).await?;
        let error = next(&server).await.reply(&vec![9; LEN]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let other = Client::connect(server.endpoint()).await?;
        let call = other.begin(b"x", None).await?;
        next(&server).await.reply(b"y").await?;
        assert_eq!(timeout(PATIENCE, call.wait()).await.unwrap()?, b"y");
        Ok(())
    });
}

/// What was said goes, though nobody waits for it; connecting that is dropped is in nobody's way.
#[test]
fn last_words_and_connecting_that_are_dropped_after_one_look() {
    over_each(async |endpoint| {
        let server = serve(&Service::options(), &endpoint)?;
        for _ in 0..10 {
            drop(at_most(1, Client::connect(server.endpoint())).await);
            let several = [server.endpoint(), server.endpoint()];
            drop(at_most(1, Client::connect_any(&Service::options(), &several)).await);
        }
        let client = Client::connect(server.endpoint()).await?;
        let call = client.begin(b"fail", None).await?;
        drop(at_most(1, next(&server).await.fail("no")).await);
        let error = timeout(PATIENCE, call.wait()).await.unwrap().unwrap_err();
        assert!(matches!(error.call(), Some(CallError::Application(_))), "{error}");
        let call = client.begin(b"fail with a number", None).await?;
        drop(at_most(1, next(&server).await.fail_with(7, "no")).await);
        let error = timeout(PATIENCE, call.wait()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Application { code: 7 }, "{error}");
        for (code, ends) in [(0, true), (0, false), (9, false)] {
            let mut replies = client.call_stream(b"parts", None).await?;
            let mut answer = next(&server).await.stream()?;
            answer.send(b"one").await?;
            match (ends, code) {
                (true, _) => drop(at_most(1, answer.finish()).await),
                (false, 0) => drop(at_most(1, answer.fail("no more")).await),
                (false, code) => drop(at_most(1, answer.fail_with(code, "no more")).await),
            }
            assert_eq!(timeout(PATIENCE, replies.recv()).await.unwrap()?.unwrap(), b"one");
            match timeout(PATIENCE, replies.recv()).await.unwrap() {
                Ok(end) => assert!(ends && end.is_none()),
                Err(error) => assert!(!ends && error.kind() == ErrorKind::Application { code }, "{error}"),
            }
        }
        Ok(())
    });
}

#[test]
fn answers_in_parts_survive_dropped_futures() {
    over_each(async |endpoint| {
        const PARTS: u32 = 3000;
        let mut options = Service::options();
        options.max_parts(5);
        let server = serve(&options, &endpoint)?;
        let client = Client::connect_with(&options, server.endpoint()).await?;
        let serving = tokio::spawn(async move {
            let (mut random, mut number, mut dropped) = (Random::new(30), 0_u32, 0);
            let mut answer = server.recv().await?.stream()?;
            while number < PARTS {
                let part = [&number.to_le_bytes()[..], &vec![1; random.below(2000) as usize]].concat();
                match a_few(&mut random, answer.send(&part)).await {
                    Some(sent) => {
                        sent?;
                        number += 1;
                    }
                    None => dropped += 1,
                }
            }
            answer.finish().await?;
            Ok::<_, Error>((server, dropped))
        });
        let mut replies = client.call_stream(b"count", Instant::now() + 4 * PATIENCE).await?;
        let (mut random, mut wanted, mut dropped) = (Random::new(31), 0_u32, 0);
        loop {
            match a_few(&mut random, replies.recv()).await {
                Some(part) => match part? {
                    Some(part) => {
                        assert_eq!(part[..4], wanted.to_le_bytes(), "lost or doubled");
                        wanted += 1;
                    }
                    None => break,
                },
                None => dropped += 1,
            }
        }
        assert_eq!(wanted, PARTS);
        let (server, more) = serving.await.unwrap()?;
        assert!(dropped > 0 && more > 0, "{dropped} {more}");
        // One that is dropped is cancelled; one that takes too long is late.
        let replies = client.call_stream(b"dropped", None).await?;
        let mut answer = next(&server).await.stream()?;
        answer.send(b"one").await?;
        drop(replies);
        let error = loop {
            // As many as it said it takes may go before the notice comes.
            match timeout(PATIENCE, answer.send(b"more")).await.unwrap() {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.call(), Some(&CallError::Cancelled), "{error}");
        let mut replies = client.call_stream(b"late", Instant::now() + MS * 50).await?;
        let answer = server.recv().await?.stream()?;
        let error = replies.recv().await.unwrap_err();
        assert_eq!(error.call(), Some(&CallError::DeadlinePassed), "{error}");
        drop(answer);
        Ok(())
    });
}

#[test]
fn several_servers_are_asked_by_turns_and_the_dead_left_out() {
    let _watchdog = watchdog(8 * PATIENCE);
    block_on(async {
        let servers = [0, 1].map(|_| serve(&Service::options(), "tcp:127.0.0.1:0").unwrap());
        let addresses = servers.each_ref().map(|server| server.endpoint().clone());
        let client = Client::connect_any(&Service::options(), &addresses.each_ref()).await?;
        let [first, second] = servers;
        let echo = |server: Server| {
            tokio::spawn(async move {
                let mut count = 0;
                while let Ok(Ok(request)) = timeout(Duration::from_secs(1), server.recv()).await {
                    count += 1;
                    let answer = request.payload().to_vec();
                    let _ = request.reply(&answer).await;
                }
                count
            })
        };
        while client.servers() < 2 {
            tokio::time::sleep(MS).await;
        }
        let (first, second) = (echo(first), echo(second));
        for number in 0..20_u8 {
            assert_eq!(client.call_timeout(&[number], PATIENCE).await?, [number]);
        }
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (10, 10));
        // Both are gone now.
        let error = client.call_timeout(b"x", PATIENCE).await.unwrap_err();
        assert!(matches!(error.call(), Some(CallError::NoServer | CallError::ServerDied)), "{error}");
        Ok::<_, Error>(())
    })
    .unwrap();
}

#[test]
fn a_thousand_clients_on_one_thread() {
    const CLIENTS: usize = 1000;
    let _watchdog = watchdog(8 * PATIENCE);
    let path = std::env::temp_dir().join(unique_name("crossing-tokio-service"));
    block_on(async {
        let server = serve(Service::options().max_clients(CLIENTS), &format!("unix:{}", path.display()))?;
        let address = server.endpoint().clone();
        let serving = tokio::spawn({
            let server = server.clone();
            async move {
                loop {
                    let request = server.recv().await.unwrap();
                    // A task for each request, as a program would.
                    tokio::spawn(async move {
                        let answer = request.payload().to_vec();
                        tokio::task::yield_now().await;
                        request.reply(&answer).await.unwrap();
                    });
                }
            }
        });
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(Client::connect(&address).await?);
        }
        while server.clients() < CLIENTS {
            tokio::time::sleep(MS).await;
        }
        let tasks: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(number, client)| {
                tokio::spawn(async move {
                    let calls = |round: usize| {
                        let client = client.clone();
                        tokio::spawn(async move {
                            let request = [number.to_le_bytes(), round.to_le_bytes()].concat();
                            assert_eq!(client.call(&request).await?, request);
                            Ok::<_, Error>(())
                        })
                    };
                    for call in (0..10).map(calls).collect::<Vec<_>>() {
                        call.await.unwrap()?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap()?;
        }
        serving.abort();
        Ok::<_, Error>(())
    })
    .unwrap();
}
