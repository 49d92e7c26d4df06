//! Services over shared memory for tokio: many tasks on one client, futures that are dropped half-way, servers that are killed.
#![cfg(unix)] // tokio waits on descriptors there alone

use crossing_queue::service::tokio::{Client, Request, Server};
use crossing_queue::service::{CallError, Service, ServiceOptions};
use crossing_sys::{Error, ErrorKind};
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::Random;
use crossing_testkit::{Child, PATIENCE, role, unique_name, watchdog};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Far longer than any machine needs.
const LATE: Duration = Duration::from_secs(180);
const MS: Duration = Duration::from_millis(1);

fn block_on<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}

/// Runs it on one thread and on several.
fn on_each<F: Future<Output = Result<(), Error>>>(test: impl Fn() -> F) {
    let _watchdog = watchdog(LATE);
    block_on(test()).unwrap();
    let several = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    several.block_on(test()).unwrap();
}

fn pair(options: &ServiceOptions) -> Result<(Server, Client), Error> {
    let name = unique_name("tokio-service");
    let server = Server::new(&options.serve(&name)?)?;
    Ok((server, Client::new(&options.connect(&name)?)?))
}

async fn next(server: &Server) -> Request {
    timeout(PATIENCE, server.recv()).await.expect("no request came").unwrap()
}

async fn cancelled(request: &Request) {
    timeout(PATIENCE, request.cancelled()).await.expect("it was not cancelled");
    assert!(request.is_cancelled());
}

#[test]
fn many_tasks_call_one_client_and_futures_are_dropped_on_both_sides() {
    on_each(async || {
        const TASKS: u32 = 40;
        const EACH: u32 = 100;
        let mut options = Service::<[u8], [u8]>::options();
        // Tasks wait for their turn as well as for answers, and for room at the server.
        options.max_in_flight(6).capacity(3);
        let (server, client) = pair(&options)?;
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
                        // Once polled it goes, dropped or not.
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
                                assert_eq!(*answer?, *[request.as_bytes(), b" answered"].concat());
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
        while calls.len() < 6 {
            calls.push(timeout(PATIENCE, client.begin(b"last", None)).await.unwrap()?);
            if calls.len() % 3 == 0 {
                // The server's queue has room for three.
                for _ in 0..3 {
                    next(&server).await.reply(b"ok").await?;
                }
            }
        }
        assert!(at_most(1, client.begin(b"too many", None)).await.is_none());
        for mut call in calls {
            assert_eq!(*timeout(PATIENCE, call.ready()).await.unwrap()?, *b"ok");
        }
        Ok(())
    });
}

#[test]
fn a_call_that_is_dropped_is_cancelled_at_the_server() {
    on_each(async || {
        let (server, client) = pair(&Service::options())?;
        for round in 0..50_u32 {
            let calling = client.clone();
            let task = tokio::spawn(async move { calling.call(&round.to_le_bytes()).await.map(drop) });
            let request = next(&server).await;
            assert_eq!(*request.payload(), round.to_le_bytes());
            assert!(!request.is_cancelled());
            task.abort();
            cancelled(&request).await;
            request.reply(b"nobody cares").await?;
        }
        // One that did not come to the server's application is not seen by it.
        drop(client.begin(b"dropped", None).await?);
        let call = client.begin(b"kept", None).await?;
        let request = next(&server).await;
        assert_eq!(*request.payload(), *b"kept");
        request.reply(b"ok").await?;
        assert_eq!(*call.wait().await?, *b"ok");
        let call = client.begin(b"x", None).await?;
        let request = next(&server).await;
        drop((call, client));
        cancelled(&request).await;
        Ok(())
    });
}

#[test]
fn what_the_server_says_and_does_not_say_is_told() {
    on_each(async || {
        let mut options = Service::<[u8], [u8]>::options();
        options.max_reply_len(600);
        let (server, client) = pair(&options)?;
        let begin = async || client.begin(b"x", None).await.unwrap();
        let call = begin().await;
        next(&server).await.fail_with(404, "no such symbol").await?;
        let error = call.wait().await.unwrap_err();
        assert!(matches!(error.call(), Some(CallError::Application(said)) if said.code() == 404), "{error}");
        let call = begin().await;
        drop(next(&server).await);
        assert_eq!(call.wait().await.unwrap_err().call(), Some(&CallError::Cancelled));
        let call = begin().await;
        let error = next(&server).await.reply(&[0; 700]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge { len: 700, max: 600 }, "{error}");
        let error = call.wait().await.unwrap_err();
        assert_eq!(error.call(), Some(&CallError::Cancelled), "{error}");
        let error = client.call(&[0; 8193]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge { len: 8193, max: 8192 }, "{error}");
        let error = client.call_timeout(b"x", MS * 20).await.unwrap_err();
        assert_eq!(error.call(), Some(&CallError::DeadlinePassed), "{error}");
        assert!(server.try_recv()?.is_none(), "it was cancelled");
        let call = begin().await;
        assert!(next(&server).await.stream().is_err());
        assert!(call.wait().await.unwrap_err().to_string().contains("call_stream"));
        let mut calls = Vec::new();
        for _ in 0..5 {
            calls.push(begin().await);
        }
        drop(server);
        for call in calls {
            let error = timeout(PATIENCE, call.wait()).await.unwrap().unwrap_err();
            assert_eq!(error.call(), Some(&CallError::ServerDied), "{error}");
        }
        assert_eq!(client.call(b"x").await.unwrap_err().call(), Some(&CallError::NoServer));
        Ok(())
    });
}

/// A server whose queue is full is waited for; and a client that does not take its answers holds up nobody.
#[test]
fn full_queues_are_waited_for() {
    on_each(async || {
        let mut options = Service::<[u8], [u8]>::options();
        options.capacity(1).max_in_flight(4);
        let (server, client) = pair(&options)?;
        let first = client.begin(b"1", None).await?;
        // Ten times, each dropped in the wait for room.
        for _ in 0..10 {
            assert!(timeout(MS, client.begin(b"2", None)).await.is_err());
        }
        let error = client.begin(b"2", Instant::now() + MS * 20).await.unwrap_err();
        assert_eq!(error.call(), Some(&CallError::DeadlinePassed), "{error}");
        let second = tokio::spawn({
            let client = client.clone();
            async move { client.call(b"2").await.map(|answer| answer.to_vec()) }
        });
        for wanted in [b"1", b"2"] {
            let request = next(&server).await;
            assert_eq!(*request.payload(), *wanted);
            request.reply(wanted).await?;
        }
        assert_eq!(*first.wait().await?, *b"1");
        assert_eq!(second.await.unwrap()?, b"2");
        // Replies that are kept take places: with one place, a second reply waits, and goes on when dropped.
        let mut options = Service::<[u8], [u8]>::options();
        options.max_in_flight(1).slow_client(PATIENCE);
        let (server, client) = pair(&options)?;
        let first = client.begin(b"1", None).await?;
        next(&server).await.reply(b"one").await?;
        let kept = first.wait().await?;
        let mut second = client.begin(b"2", None).await?;
        let request = next(&server).await;
        assert!(timeout(MS * 20, request.reply(b"two")).await.is_err());
        assert!(at_most(1, second.ready()).await.is_none());
        drop(kept);
        assert_eq!(*timeout(PATIENCE, second.ready()).await.unwrap()?, *b"two");
        Ok(())
    });
}

/// What was said goes, though nobody waits for it.
#[test]
fn last_words_that_are_dropped_after_one_look() {
    on_each(async || {
        let (server, client) = pair(&Service::options())?;
        for (code, kind) in [(0, "fail"), (7, "fail with a number")] {
            let call = client.begin(kind.as_bytes(), None).await?;
            let request = next(&server).await;
            match code {
                0 => drop(at_most(1, request.fail("no")).await),
                code => drop(at_most(1, request.fail_with(code, "no")).await),
            }
            let error = timeout(PATIENCE, call.wait()).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Application { code }, "{error}");
        }
        let call = client.begin(b"reply", None).await?;
        drop(at_most(1, next(&server).await.reply(b"yes")).await);
        assert_eq!(&*timeout(PATIENCE, call.wait()).await.unwrap()?, b"yes");
        Ok(())
    });
}

#[test]
fn answers_in_parts_survive_dropped_futures() {
    on_each(async || {
        const PARTS: u32 = 3000;
        let mut options = Service::<[u8], [u8]>::options();
        options.max_parts(5);
        let (server, client) = pair(&options)?;
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
            answer.finish()?;
            Ok::<_, Error>((server, dropped))
        });
        let mut replies = client.call_stream(b"count", Instant::now() + LATE).await?;
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
        drop(replies);
        // One that is dropped is cancelled; one that takes too long is late; one whose server leaves is told so.
        let replies = client.call_stream(b"dropped", None).await?;
        let mut answer = next(&server).await.stream()?;
        answer.send(b"one").await?;
        drop(replies);
        let error = loop {
            match timeout(PATIENCE, answer.send(b"more")).await.unwrap() {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.call(), Some(&CallError::Cancelled), "{error}");
        drop(answer);
        let mut replies = client.call_stream(b"late", Instant::now() + MS * 50).await?;
        let error = replies.recv().await.unwrap_err();
        assert_eq!(error.call(), Some(&CallError::DeadlinePassed), "{error}");
        let mut replies = client.call_stream(b"left", None).await?;
        drop(server);
        let error = timeout(PATIENCE, replies.recv()).await.unwrap().unwrap_err();
        assert_eq!(error.call(), Some(&CallError::ServerDied), "{error}");
        Ok(())
    });
}

/// Threads and tasks call the same client: each hears of its own answer, whoever receives it.
#[test]
fn threads_and_tasks_share_a_client() {
    let _watchdog = watchdog(LATE);
    let name = unique_name("tokio-service");
    let options = Service::<u64, u64>::options();
    let server = options.serve(&name).unwrap();
    let serving = std::thread::spawn(move || {
        for _ in 0..4000 {
            let request = server.recv_timeout(PATIENCE).unwrap();
            let answer = request.payload() * 3;
            request.reply(&answer).unwrap();
        }
    });
    let blocking = options.connect(&name).unwrap();
    let threads = [0, 1].map(|thread| {
        let client = blocking.clone();
        std::thread::spawn(move || {
            for round in 0..1000 {
                let number = thread << 32 | round;
                assert_eq!(*client.call_timeout(&number, PATIENCE).unwrap(), number * 3);
            }
        })
    });
    block_on(async {
        let client = Client::new(&blocking).unwrap();
        let tasks = [2, 3].map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for round in 0..1000_u64 {
                    let number = task << 32 | round;
                    assert_eq!(*client.call_timeout(&number, PATIENCE).await.unwrap(), number * 3);
                }
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    serving.join().unwrap();
}

#[test]
#[ignore = "a child process of the tests here"]
fn role_server() {
    let Some(role) = role("role_server") else { return };
    let server = Service::<u64, u64>::options().serve(&role.argument("name")).unwrap();
    role.say("serving");
    loop {
        let request = server.recv().unwrap();
        if *request.payload() == 99 {
            role.say("hold");
            role.pause();
        }
        let answer = request.payload() + 1;
        let _ = request.reply(&answer);
    }
}

#[test]
fn the_killed_are_told_of() {
    let _watchdog = watchdog(LATE);
    let name = unique_name("tokio-service");
    let spawn = || Child::role("role_server").argument("name", &name).spawn();
    let mut first = spawn();
    first.expect("serving");
    block_on(async {
        let client = Client::new(&Service::<u64, u64>::options().connect(&name)?)?;
        assert_eq!(*client.call(&1).await?, 2);
        let mut calls = Vec::new();
        for number in [99, 5, 6] {
            calls.push(client.begin(&number, None).await?);
        }
        first.expect("hold");
        first.kill();
        for call in calls {
            let error = timeout(PATIENCE, call.wait()).await.unwrap().unwrap_err();
            assert_eq!(error.call(), Some(&CallError::ServerDied), "{error}");
        }
        let mut second = spawn();
        second.expect("serving");
        assert_eq!(*client.call(&1).await?, 2, "the other one serves on");
        Ok::<_, Error>(())
    })
    .unwrap();
}

#[test]
fn hundreds_of_clients_on_one_thread() {
    const CLIENTS: u64 = 200;
    let _watchdog = watchdog(LATE);
    let name = unique_name("tokio-service");
    block_on(async {
        let mut options = Service::<u64, u64>::options();
        options.max_in_flight(4);
        let server = Server::new(&options.serve(&name)?)?;
        let serving = tokio::spawn(async move {
            loop {
                let request = server.recv().await.unwrap();
                let answer = request.payload() * 3;
                request.reply(&answer).await.unwrap();
            }
        });
        let mut tasks = Vec::new();
        for number in 0..CLIENTS {
            let client = Client::new(&options.connect(&name)?)?;
            for task in 0..4_u64 {
                let client = client.clone();
                tasks.push(tokio::spawn(async move {
                    for round in 0..5_u64 {
                        let number = number << 32 | task << 16 | round;
                        assert_eq!(*client.call(&number).await?, number * 3);
                    }
                    Ok::<_, Error>(())
                }));
            }
        }
        for task in tasks {
            task.await.unwrap()?;
        }
        serving.abort();
        Ok::<_, Error>(())
    })
    .unwrap();
}
